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
    const signer = signerOf(deps.documents, jwt, { address, sinceMs });
    const { holder } = signer instanceof Promise ? await signer : signer;
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

/** Returns the key that made the signature, without a promise if the main thread checked it with the cached key. */
function signerOf(documents: DidDocuments, jwt: ServiceJwt, request: KeyRequest): SigningKey | Promise<SigningKey> {
  const cached = documents.cachedSigningKey(jwt.claims.iss, jwt.kid);
  if (cached === undefined) return findSigner(documents, jwt, request);
  const isSigned = isSignedBy(jwt, cached);
  if (isSigned === true) return cached;
  const refresh = (): Promise<SigningKey> => findFreshSigner(documents, jwt, { request, wrongKey: cached });
  return isSigned === false ? refresh() : isSigned.then((isValid) => (isValid ? cached : refresh()));
}

async function findSigner(documents: DidDocuments, jwt: ServiceJwt, request: KeyRequest): Promise<SigningKey> {
  const key = await keyOf(documents, jwt, request);
  if (key !== undefined && (await isSignedBy(jwt, key))) return key;
  return findFreshSigner(documents, jwt, { request, wrongKey: key });
}

/**
 * Refreshes the issuer's document because the key is missing or wrong, and the issuer may have changed it. Refreshes
 * twice at most, because the first refresh may share a fetch that began before the change.
 */
async function findFreshSigner(
  documents: DidDocuments,
  jwt: ServiceJwt,
  { request, wrongKey }: { readonly request: KeyRequest; readonly wrongKey: SigningKey | undefined },
): Promise<SigningKey> {
  let key = wrongKey;
  for (let attempt = 0; attempt < 2; attempt++) {
    const fresh = await keyOf(documents, jwt, { ...request, refresh: 'force' });
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
