import { limits } from '#platform/limits.ts';
import { authError } from './auth-error.ts';
import { parseStrictJsonObject } from './strict-json.ts';

/** An atproto service token (atproto.com/specs/xrpc "Inter-Service Authentication"), parsed but proven by nothing yet. */
export interface ServiceJwt {
  readonly algorithm: 'ES256K' | 'ES256';
  /** Names a key of the issuer's DID document. */
  readonly kid: string | undefined;
  readonly claims: ServiceJwtClaims;
  /** What `signature` signs. */
  readonly signingInput: Uint8Array;
  /** R‖S if the token is right; any length as parsed. */
  readonly signature: Uint8Array;
}

export interface ServiceJwtClaims {
  readonly iss: string;
  readonly aud: unknown;
  readonly lxm: unknown;
  readonly jti: unknown;
  /** Seconds since the epoch. */
  readonly exp: number;
  readonly iat: number | undefined;
  readonly nbf: number | undefined;
}

/** What a token is measured against. */
export interface ServiceJwtPolicy {
  readonly audiences: ReadonlySet<string>;
  /** NSID of the called method; undefined when `lxm` is not enforced. */
  readonly method: string | undefined;
  readonly requireJti: boolean;
  readonly nowSeconds: number;
}

const canonicalSegment = /^[A-Za-z0-9_-]+$/;
/** RFC 7515 section 4.1: they name another key or change what is signed; the issuer's DID document alone decides that. */
const forbiddenHeaders = ['crit', 'b64', 'jwk', 'jku', 'x5u', 'x5c', 'x5t', 'x5t#S256', 'enc', 'zip'];
const kidLengthMax = 512;
const jtiLengthMin = 8;
const jtiLengthMax = 128;

/**
 * Takes a compact JWS apart without judging its claims.
 * @throws AppError BadJwt, BadJwtType.
 */
export function parseServiceJwt(token: string): ServiceJwt {
  if (token.length > limits.tokenLengthMax) throw authError('BadJwt');
  const [headerText = '', payloadText = '', signatureText = '', ...rest] = token.split('.');
  if (rest.length > 0) throw authError('BadJwt');
  const header = parseStrictJsonObject(decodeSegment(headerText));
  const payload = parseStrictJsonObject(decodeSegment(payloadText));
  const signature = decodeSegment(signatureText);
  if (header === undefined || payload === undefined) throw authError('BadJwt');
  return {
    ...readHeader(header),
    claims: readClaims(payload),
    signingInput: Buffer.from(`${headerText}.${payloadText}`, 'latin1'),
    signature,
  };
}

/** Base64url has several texts for the same bytes; only the one an encoder writes is accepted. */
function decodeSegment(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (!canonicalSegment.test(text) || bytes.toString('base64url') !== text) throw authError('BadJwt');
  return bytes;
}

function readHeader(header: Readonly<Record<string, unknown>>): Pick<ServiceJwt, 'algorithm' | 'kid'> {
  const { alg, typ, kid } = header as { alg?: unknown; typ?: unknown; kid?: unknown };
  if (forbiddenHeaders.some((name) => Object.hasOwn(header, name))) throw authError('BadJwt');
  if (typ !== undefined && (typeof typ !== 'string' || typ.toUpperCase() !== 'JWT')) throw authError('BadJwtType');
  if (alg !== 'ES256K' && alg !== 'ES256') throw authError('BadJwtType');
  if (kid === undefined) return { algorithm: alg, kid };
  if (typeof kid !== 'string' || kid.length === 0 || kid.length > kidLengthMax) throw authError('BadJwt');
  return { algorithm: alg, kid };
}

function readClaims(payload: Readonly<Record<string, unknown>>): ServiceJwtClaims {
  const claims = payload as { [Name in 'iss' | 'aud' | 'lxm' | 'jti' | 'exp' | 'iat' | 'nbf']?: unknown };
  const exp = readSeconds(claims.exp);
  if (exp === undefined || typeof claims.iss !== 'string') throw authError('BadJwt');
  return {
    iss: claims.iss,
    aud: claims.aud,
    lxm: claims.lxm,
    jti: claims.jti,
    exp,
    iat: readSeconds(claims.iat),
    nbf: readSeconds(claims.nbf),
  };
}

function readSeconds(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw authError('BadJwt');
  return value;
}

/**
 * Judges the claims; the signature is another matter. Expiry is exact, the leeway forgives only clocks ahead of ours.
 * Returns the `jti`, empty when none is required.
 * @throws AppError JwtExpired, BadJwtLifetime, BadJwtAudience, BadJwtLexiconMethod, BadJwt.
 */
export function checkClaims(claims: ServiceJwtClaims, policy: ServiceJwtPolicy): string {
  checkTimes(claims, policy.nowSeconds);
  if (typeof claims.aud !== 'string' || !policy.audiences.has(claims.aud)) throw authError('BadJwtAudience');
  if (policy.method !== undefined && claims.lxm !== policy.method) throw authError('BadJwtLexiconMethod');
  if (!policy.requireJti) return '';
  const { jti } = claims;
  if (typeof jti !== 'string' || jti.length < jtiLengthMin || jti.length > jtiLengthMax) throw authError('BadJwt');
  return jti;
}

function checkTimes({ exp, iat, nbf }: ServiceJwtClaims, nowSeconds: number): void {
  const latestStart = nowSeconds + limits.clockLeewaySeconds;
  if (exp <= nowSeconds) throw authError('JwtExpired');
  if (exp > latestStart + limits.tokenLifetimeSecondsMax) throw authError('BadJwtLifetime');
  if (nbf !== undefined && nbf > latestStart) throw authError('BadJwtLifetime');
  if (iat === undefined) return;
  const lifetimeSeconds = exp - iat;
  if (lifetimeSeconds <= 0 || lifetimeSeconds > limits.tokenLifetimeSecondsMax) throw authError('BadJwtLifetime');
  if (iat > latestStart) throw authError('BadJwtLifetime');
}
