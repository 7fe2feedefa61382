import { resolvableMethod } from '#identity/did-documents/did.ts';
import { AppError } from '#platform/errors.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Sql } from '#storage/connection/database.ts';
import { clearTokenNotBefore, setTokenNotBefore } from '#storage/rows/token-not-before.ts';
import type { TokenNotBefore } from '#storage/rows/token-not-before.ts';

interface Deps {
  readonly sql: Sql;
  readonly privacy: Privacy;
}

/** The name under which the tokens of `did` are refused at rest. */
export function refusedAccount(privacy: Privacy, did: string): Buffer {
  return privacy.pseudonym('token-not-before', [], did);
}

/**
 * From now on refuses the tokens and tickets of `did` from before a moment, or all of them, on every server; the time takes the
 * place of an earlier one. Open streams end within seconds.
 * @returns the time, or undefined for `forever`.
 * @throws AppError BadJwtIssuer when no token could name this DID.
 */
export async function refuseTokens(
  { sql, privacy }: Deps,
  did: string,
  notBefore: TokenNotBefore['notBefore'],
): Promise<Date | undefined> {
  assertIssuer(did);
  const account = refusedAccount(privacy, did);
  const sealedDid = privacy.sealText('token-not-before-did', [account], did);
  return setTokenNotBefore(sql, { account, sealedDid, notBefore });
}

/**
 * Takes `refuseTokens` back. @returns whether there was something to take back.
 * @throws AppError BadJwtIssuer when no token could name this DID.
 */
export async function acceptTokens({ sql, privacy }: Deps, did: string): Promise<boolean> {
  assertIssuer(did);
  return clearTokenNotBefore(sql, refusedAccount(privacy, did));
}

function assertIssuer(did: string): void {
  if (resolvableMethod(did, 'private') === undefined) throw new AppError('BadJwtIssuer', 'No token can name this DID.');
}
