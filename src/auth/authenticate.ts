import type { Caller } from '#domain/caller.ts';
import type { DidDocuments } from '#identity/did-documents.ts';
import { isIdentityError } from '#identity/identity-error.ts';
import type { IdentityErrorCode } from '#identity/identity-error.ts';
import type { SigningKey } from '#identity/signing-key.ts';
import type { Clock } from '#platform/clock.ts';
import { authError } from './auth-error.ts';
import type { AuthErrorCode } from './auth-error.ts';
import type { ReplayGuard, TokenTimes } from './replay-guard.ts';
import { checkClaims, parseServiceJwt } from './service-jwt.ts';
import type { ServiceJwt } from './service-jwt.ts';

/**
 * Says who calls `method` (an NSID) by the text of the Authorization header.
 * @throws AppError with an `AuthErrorCode`.
 */
export type Authenticate = (authorization: string | undefined, method: string) => Promise<Caller>;

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
  return async (authorization, method) => {
    const jwt = parseServiceJwt(tokenOf(authorization));
    const jti = checkClaims(jwt.claims, {
      audiences,
      method: deps.enforceLxm ? method : undefined,
      requireJti: deps.enforceJti,
      nowSeconds: Math.floor(deps.clock.nowMs() / 1_000),
    });
    await checkSignature(deps.documents, jwt);
    // The issuer's document may have been a while on its way.
    if (jwt.claims.exp * 1_000 <= deps.clock.nowMs()) throw authError('JwtExpired');
    const times = { issuedAtSeconds: jwt.claims.iat, expiresAtSeconds: jwt.claims.exp };
    if (deps.enforceJti) await checkFirstUse(deps.replayGuard, jwt, { jti, times });
    else if (await deps.replayGuard.isRevoked(jwt.claims.iss, times)) throw authError('JwtRevoked');
    return { did: jwt.claims.iss };
  };
}

function tokenOf(authorization: string | undefined): string {
  if (authorization === undefined || !/^Bearer\b/i.test(authorization)) throw authError('AuthMissing');
  const token = bearer.exec(authorization)?.[1];
  if (token === undefined) throw authError('BadJwt');
  return token;
}

/** A wrong signature or unknown key may mean that the key was changed, so the document is fetched once more. */
async function checkSignature(documents: DidDocuments, jwt: ServiceJwt): Promise<void> {
  const cached = await keyOf(documents, jwt).catch((error: unknown) => {
    if (isIdentityError(error) && error.code === 'SigningKeyMissing') return undefined;
    throw asAuthError(error);
  });
  if (cached !== undefined && (await isSignedBy(jwt, cached))) return;
  const fresh = await keyOf(documents, jwt, 'force').catch((error: unknown) => {
    throw asAuthError(error);
  });
  if (fresh === cached || !(await isSignedBy(jwt, fresh))) throw authError('BadJwtSignature');
}

function keyOf(documents: DidDocuments, jwt: ServiceJwt, refresh?: 'force'): Promise<SigningKey> {
  return documents.signingKey(jwt.claims.iss, { kid: jwt.kid, ...(refresh === undefined ? {} : { refresh }) });
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
  if (verdict === 'before-birth') throw authError('JwtTooOld');
  if (verdict === 'revoked') throw authError('JwtRevoked');
}
