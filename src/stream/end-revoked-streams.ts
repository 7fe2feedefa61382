import type { Database } from '#storage/connection/database.ts';
import { readTokensNotBefore } from '#storage/rows/token-not-before.ts';
import type { OpenStream } from './serve-stream.ts';

/** A stream opens a moment after its token was checked, and the database's clock is not ours. */
const openingMs = 10_000;

export interface EndRevokedStreamsDeps {
  readonly database: Database;
  /** The name under which somebody's tokens are refused. */
  readonly refusedAccount: (did: string) => Buffer;
  readonly openStreams: Iterable<OpenStream>;
}

/** Ends the streams that were opened with tokens which an operator has refused since. */
export async function endRevokedStreams(deps: EndRevokedStreamsDeps): Promise<void> {
  const notBeforeMs = await readTokensNotBefore(deps.database.sql);
  if (notBeforeMs.size === 0) return;
  for (const stream of deps.openStreams) {
    const boundMs = notBeforeMs.get(deps.refusedAccount(stream.did).toString('hex'));
    if (boundMs === undefined || stream.openedAtMs - openingMs >= boundMs) continue;
    stream.end('JwtRevoked', 'The operator of this service refuses older tokens of this account.');
  }
}
