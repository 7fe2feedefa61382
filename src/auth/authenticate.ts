import type { Caller } from '#domain/caller.ts';
import type { DidDocuments, KeyRequest } from '#identity/did-documents/did-documents.ts';
import { isIdentityError } from '#identity/identity-error.ts';
import type { IdentityErrorCode } from '#identity/identity-error.ts';
import type { AddressName } from '#identity/did-documents/authenticated-addresses.ts';
import type { SigningKey } from '#identity/signatures/signing-key.ts';
import type { Clock } from '#platform/clock.ts';
import { authError, recordJustBegun } from './auth-error.ts';
import type { AuthErrorCode } from './auth-error.ts';
import type { ReplayGuard, ReplayResult, TokenTimes } from './replay-guard.ts';
import { checkClaims, parseServiceJwt } from './service-jwt.ts';
import type { ServiceJwt } from './service-jwt.ts';

/**
 * Says who calls `method` (an NSID) by the text of the Authorization header. `address` is the keyed name of the client's address,
 * unless the operator lists it.
 * @throws AppError with an `AuthErrorCode`, or ServiceUnavailable while nobody can know whether a new token was used.
 */
export type Authenticate = (
  authorization: string | undefined,
  method: string,
  address?: AddressName,
) => Promise<Caller>;

export interface AuthenticatorDeps {
  readonly documents: DidDocuments;
  readonly replayGuard: ReplayGuard;
  readonly clock: Clock;
  /** Values of `aud` that mean this service, compared exactly. */
  readonly audiences: readonly string[];
  readonly enforceLxm: boolean;
  readonly enforceJti: boolean;
}

const bearer = /^Bearer +(\S+)$/i;

/** The order is by cost, and only a token that is right in all else is entered as used. */
export function createAuthenticator(deps: AuthenticatorDeps): Authenticate {
  const audiences = new Set(deps.audiences);
  return async (authorization, method, address) => {
    const sinceMs = deps.clock.monotonicMs();
    const jwt = parseServiceJwt(tokenOf(authorization));
    const jti = checkClaims(jwt.claims, {
      audiences,
      method: deps.enforceLxm ? method : undefined,
      requireJti: deps.enforceJti,
      nowSeconds: Math.floor(deps.clock.nowMs() / 1_000),
    });
    await checkSignature(deps.documents, jwt, { address, sinceMs });
    // The issuer's document may have been a while on its way.
    if (jwt.claims.exp * 1_000 <= deps.clock.nowMs()) throw authError('JwtExpired');
    const times = { issuedAtSeconds: jwt.claims.iat, expiresAtSeconds: jwt.claims.exp };
    if (deps.enforceJti) await checkFirstUse(deps.replayGuard, jwt, { jti, times });
    else if (await deps.replayGuard.isRevoked(jwt.claims.iss, times)) throw authError('JwtRevoked');
    deps.documents.noteProof(address, jwt.claims.iss);
    return { did: jwt.claims.iss };
  };
}

function tokenOf(authorization: string | undefined): string {
  if (authorization === undefined || !/^Bearer\b/i.test(authorization)) throw authError('AuthMissing');
  const token = bearer.exec(authorization)?.[1];
  if (token === undefined) throw authError('BadJwt');
  return token;
}

type Asker = Pick<KeyRequest, 'address' | 'sinceMs'>;

/**
 * A wrong signature or unknown key may mean that the key was changed, so the document is fetched once more. A fetch that was under
 * way already may have begun before the change: what is wrong under its document too is judged by one more.
 */
async function checkSignature(documents: DidDocuments, jwt: ServiceJwt, asker: Asker): Promise<void> {
  let key = await keyOf(documents, jwt, asker);
  if (key !== undefined && (await isSignedBy(jwt, key))) return;
  for (let attempt = 0; attempt < 2; attempt++) {
    const fresh = await keyOf(documents, jwt, { ...asker, refresh: 'force' });
    if (fresh !== undefined && fresh !== key && (await isSignedBy(jwt, fresh))) return;
    key = fresh;
  }
  throw authError(key === undefined ? 'BadJwtIssuer' : 'BadJwtSignature');
}

/** Undefined when the document has no such key. */
async function keyOf(
  documents: DidDocuments,
  { claims, kid }: ServiceJwt,
  question: KeyRequest,
): Promise<SigningKey | undefined> {
  try {
    return await documents.signingKey(claims.iss, { ...question, kid });
  } catch (error) {
    if (isIdentityError(error) && error.code === 'SigningKeyMissing') return undefined;
    throw asAuthError(error);
  }
}

/** The key's type decides the algorithm; the header may only agree. */
async function isSignedBy(jwt: ServiceJwt, key: SigningKey): Promise<boolean> {
  return jwt.algorithm === key.algorithm && (await key.verify(jwt.signingInput, jwt.signature));
}

const authCodes = {
  DidUnsupported: 'BadJwtIssuer',
  DidNotFound: 'BadJwtIssuer',
  SigningKeyMissing: 'BadJwtIssuer',
  IdentityUnavailable: 'IdentityUnavailable',
} as const satisfies Record<IdentityErrorCode, AuthErrorCode>;

function asAuthError(error: unknown): unknown {
  return isIdentityError(error) ? authError(authCodes[error.code]) : error;
}

async function checkFirstUse(
  guard: ReplayGuard,
  { claims }: ServiceJwt,
  { jti, times }: { jti: string; times: TokenTimes },
): Promise<void> {
  const verdict = await guard.firstUse(claims.iss, jti, times);
  if (verdict === 'replayed') throw authError('JwtReplayed');
  if (isFirstUse(verdict)) return;
  if (verdict === 'before-record') throw authError('JwtTooOld');
  if (verdict === 'revoked') throw authError('JwtRevoked');
}

/**
 * Whether what was used is good, when nothing else is to be said of it.
 * @throws AppError ServiceUnavailable while nobody can know.
 */
export function isFirstUse(verdict: ReplayResult): boolean {
  if (verdict === 'just-before-record') throw recordJustBegun();
  return verdict === 'first';
}
