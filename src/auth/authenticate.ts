import type { Caller } from '#domain/caller.ts';
import type { DidDocuments, KeyRequest } from '#identity/did-documents/did-documents.ts';
import { isIdentityError } from '#identity/identity-error.ts';
import type { IdentityErrorCode } from '#identity/identity-error.ts';
import type { AddressPseudonym } from '#identity/did-documents/authenticated-addresses.ts';
import type { SigningKey } from '#identity/signatures/signing-key.ts';
import type { Clock } from '#platform/clock.ts';
import { authError } from './auth-error.ts';
import type { AuthErrorCode } from './auth-error.ts';
import { RecentTokens } from './recent-tokens.ts';
import { refuseReplayedToken } from './refuse-replayed-tokens.ts';
import type { ReplayGuard } from './replay-guard.ts';
import { checkClaims, parseServiceJwt } from './service-jwt.ts';
import type { ServiceJwt } from './service-jwt.ts';
import { DeferredTokenUse } from './token-use.ts';

/**
 * Authenticates the caller of `method` (an NSID) by the Authorization header. `address` is the pseudonym of the
 * client's address, or undefined for an address on the operator's allow list.
 * @throws AppError with an `AuthErrorCode`, or ServiceUnavailable when the record of used tokens is younger than a new
 * token.
 */
export type Authenticate = (
  authorization: string | undefined,
  method: string,
  options?: AuthenticateOptions,
) => Promise<Authenticated>;

export interface AuthenticateOptions {
  readonly address?: AddressPseudonym | undefined;
  /** Whether the caller of this function records the use of the token; by default it is recorded here. */
  readonly defersUse?: boolean;
}

export interface Authenticated {
  readonly caller: Caller;
  /** The use of the token if it is not recorded yet. */
  readonly tokenUse: DeferredTokenUse | undefined;
}

export interface AuthenticatorDeps {
  readonly documents: DidDocuments;
  readonly replayGuard: ReplayGuard;
  readonly clock: Clock;
  /** Values of `aud` that name this service, compared exactly. */
  readonly audiences: readonly string[];
  readonly enforceLxm: boolean;
  readonly enforceJti: boolean;
}

const bearer = /^Bearer +/i;

/**
 * Creates a function that runs the checks in the order of their cost. A token is recorded as used only if all other
 * checks have passed.
 */
export function createAuthenticator(deps: AuthenticatorDeps): Authenticate {
  const audiences = new Set(deps.audiences);
  const recentTokens = new RecentTokens();
  return async (authorization, method, { address, defersUse = false } = {}) => {
    const sinceMs = deps.clock.monotonicMs();
    const jwt = parseServiceJwt(tokenOf(authorization));
    const jti = checkClaims(jwt.claims, {
      audiences,
      method: deps.enforceLxm ? method : undefined,
      requireJti: deps.enforceJti,
      nowSeconds: Math.floor(deps.clock.nowMs() / 1_000),
    });
    const cached = cachedCheck(deps.documents, jwt);
    // A check on the main thread has its result at once, so that most requests do not wait here.
    const { holder } =
      cached?.isSigned === true ? cached.key : await findSigner(deps.documents, jwt, { address, sinceMs, cached });
    // The token may have expired while the issuer's document was fetched.
    if (jwt.claims.exp * 1_000 <= deps.clock.nowMs()) throw authError('JwtExpired');
    const times = { issuedAtSeconds: jwt.claims.iat, expiresAtSeconds: jwt.claims.exp };
    const onFirstUse = (): void => deps.documents.noteProof(address, jwt.claims.iss);
    if (!deps.enforceJti) {
      if (await deps.replayGuard.isRevoked(jwt.claims.iss, times)) throw authError('JwtRevoked');
    } else {
      const mark = deps.replayGuard.markOf(jwt.claims.iss, jti, times);
      if (defersUse) {
        if (!recentTokens.add(mark.digest)) throw authError('JwtReplayed');
        return { caller: holder, tokenUse: new DeferredTokenUse(mark, { guard: deps.replayGuard, onFirstUse }) };
      }
      await refuseReplayedToken(deps.replayGuard, mark);
    }
    onFirstUse();
    return { caller: holder, tokenUse: undefined };
  };
}

function tokenOf(authorization: string | undefined): string {
  if (authorization === undefined) throw authError('AuthMissing');
  const scheme = bearer.exec(authorization)?.[0];
  // The parser refuses an empty token, and white space in a token.
  if (scheme !== undefined) return authorization.slice(scheme.length);
  throw authError(/^Bearer\b/i.test(authorization) ? 'BadJwt' : 'AuthMissing');
}

/** A check of the signature with the key from the cached document of the issuer. */
interface CachedCheck {
  readonly key: SigningKey;
  readonly isSigned: boolean | Promise<boolean>;
}

function cachedCheck(documents: DidDocuments, jwt: ServiceJwt): CachedCheck | undefined {
  const key = documents.cachedSigningKey(jwt.claims.iss, jwt.kid);
  return key && { key, isSigned: isSignedBy(jwt, key) };
}

/**
 * Returns the key that made the signature. Refreshes the issuer's document if the key is missing or wrong, because the
 * issuer may have changed the key. Refreshes twice at most, because the first refresh may share a fetch that began
 * before the change.
 */
async function findSigner(
  documents: DidDocuments,
  jwt: ServiceJwt,
  { cached, ...requester }: Pick<KeyRequest, 'address' | 'sinceMs'> & { readonly cached: CachedCheck | undefined },
): Promise<SigningKey> {
  let key = cached?.key ?? (await keyOf(documents, jwt, requester));
  if (key !== undefined && (await (cached?.isSigned ?? isSignedBy(jwt, key)))) return key;
  for (let attempt = 0; attempt < 2; attempt++) {
    const fresh = await keyOf(documents, jwt, { ...requester, refresh: 'force' });
    if (fresh !== undefined && fresh !== key && (await isSignedBy(jwt, fresh))) return fresh;
    key = fresh;
  }
  throw authError(key === undefined ? 'BadJwtIssuer' : 'BadJwtSignature');
}

/** Returns the issuer's key, or undefined when the document does not list it. */
async function keyOf(
  documents: DidDocuments,
  { claims, kid }: ServiceJwt,
  request: KeyRequest,
): Promise<SigningKey | undefined> {
  try {
    return await documents.signingKey(claims.iss, { ...request, kid });
  } catch (error) {
    if (isIdentityError(error) && error.code === 'SigningKeyMissing') return undefined;
    throw asAuthError(error);
  }
}

/** Returns whether `key` made the signature. The header must name the algorithm of the key. */
function isSignedBy(jwt: ServiceJwt, key: SigningKey): boolean | Promise<boolean> {
  return jwt.algorithm === key.algorithm && key.verify(jwt.signingInput, jwt.signature);
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
