import { resolvableMethod } from '#identity/did-documents/did.ts';
import { createLruMap } from '#identity/lru-map.ts';
import { AppError } from '#platform/errors.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Sql } from '#storage/connection/database.ts';
import { clearTokenNotBefore, setTokenNotBefore } from '#storage/rows/token-not-before.ts';
import type { TokenNotBefore } from '#storage/rows/token-not-before.ts';

interface Deps {
  readonly sql: Sql;
  readonly privacy: Privacy;
}

/** Returns the pseudonym under which the refusal of the tokens of `did` is stored. */
export function refusedAccount(privacy: Privacy, did: string): Buffer {
  return privacy.pseudonym('token-not-before', [], did);
}

/**
 * Creates a function that returns `refusedAccount` and keeps up to `accountsMax` results, because every request needs
 * one. The map has no more DIDs than the cache of DID documents.
 */
export function createRefusedAccounts(privacy: Privacy, accountsMax: number): (did: string) => Buffer {
  const accounts = createLruMap<string, Buffer>(accountsMax);
  return (did) => {
    const known = accounts.peek(did);
    if (known !== undefined) return known;
    const account = refusedAccount(privacy, did);
    accounts.set(did, account);
    return account;
  };
}

/**
 * Refuses tokens and tickets of `did` on every server, either all of them or those issued before a time. Replaces an
 * earlier refusal, and ends open streams within seconds.
 * @returns the time, or undefined for `forever`.
 * @throws AppError BadJwtIssuer when `did` cannot be the issuer of a token.
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
 * Accepts the tokens of `did` again after `refuseTokens`.
 * @returns whether tokens of `did` were refused.
 * @throws AppError BadJwtIssuer when `did` cannot be the issuer of a token.
 */
export async function acceptTokens({ sql, privacy }: Deps, did: string): Promise<boolean> {
  assertIssuer(did);
  return clearTokenNotBefore(sql, refusedAccount(privacy, did));
}

function assertIssuer(did: string): void {
  if (resolvableMethod(did, 'private') === undefined) throw new AppError('BadJwtIssuer', 'No token can name this DID.');
}
