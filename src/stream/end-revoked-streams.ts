import type { Database } from '#storage/connection/database.ts';
import { readTokensNotBefore } from '#storage/rows/token-not-before.ts';
import type { OpenStream } from './serve-stream.ts';

/**
 * Milliseconds that cover the time from the token check to the opening of the stream, and the difference between server
 * and database clock.
 */
const openingMs = 10_000;

export interface EndRevokedStreamsDeps {
  readonly database: Database;
  /** Returns the pseudonym under which the refusal of an account's tokens is stored. */
  readonly refusedAccount: (did: string) => Buffer;
  readonly openStreams: Iterable<OpenStream>;
}

/** Ends the open streams whose token an operator has refused since the stream opened. */
export async function endRevokedStreams(deps: EndRevokedStreamsDeps): Promise<void> {
  const notBeforeMs = await readTokensNotBefore(deps.database.sql);
  if (notBeforeMs.size === 0) return;
  for (const stream of deps.openStreams) {
    const boundMs = notBeforeMs.get(deps.refusedAccount(stream.did).toString('hex'));
    if (boundMs === undefined || stream.openedAtMs - openingMs >= boundMs) continue;
    stream.end('JwtRevoked', 'The operator of this service refuses older tokens of this account.');
  }
}
