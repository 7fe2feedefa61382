import { limits } from '#platform/limits.ts';
import { authError } from './auth-error.ts';
import { parseStrictJsonObject } from './strict-json.ts';

/**
 * A parsed atproto service token (atproto.com/specs/xrpc "Inter-Service Authentication") whose signature has not been
 * checked.
 */
export interface ServiceJwt {
  readonly algorithm: 'ES256K' | 'ES256';
  /** The id of a key in the issuer's DID document. */
  readonly kid: string | undefined;
  readonly claims: ServiceJwtClaims;
  /** The ASCII text that `signature` signs. */
  readonly signingInput: string;
  /** R‖S in a valid token. The parser accepts any length. */
  readonly signature: Uint8Array;
}

export interface ServiceJwtClaims {
  readonly iss: string;
  readonly aud: unknown;
  readonly lxm: unknown;
  readonly jti: unknown;
  /** Seconds since the Unix epoch, as in `iat` and `nbf`. */
  readonly exp: number;
  readonly iat: number | undefined;
  readonly nbf: number | undefined;
}

/** The values that a token's claims are compared with. */
export interface ServiceJwtPolicy {
  readonly audiences: ReadonlySet<string>;
  /** NSID of the called method, or undefined if `lxm` is not enforced. */
  readonly method: string | undefined;
  readonly requireJti: boolean;
  readonly nowSeconds: number;
}

/**
 * Headers that are refused because they name another key or change the signed bytes (RFC 7515 section 4.1). Only the
 * issuer's DID document names the key.
 */
const forbiddenHeaders = ['crit', 'b64', 'jwk', 'jku', 'x5u', 'x5c', 'x5t', 'x5t#S256', 'enc', 'zip'];
type Header = Pick<ServiceJwt, 'algorithm' | 'kid'>;

let lastHeader: { readonly text: string; readonly header: Header } | undefined;

const kidLengthMax = 512;
const jtiLengthMin = 8;
const jtiLengthMax = 128;

/**
 * Parses a compact JWS without checking its claims or its signature.
 * @throws AppError BadJwt, BadJwtType.
 */
export function parseServiceJwt(token: string): ServiceJwt {
  if (token.length > limits.tokenLengthMax) throw authError('BadJwt');
  const headerEnd = token.indexOf('.');
  const payloadEnd = token.indexOf('.', headerEnd + 1);
  if (headerEnd === -1 || payloadEnd === -1) throw authError('BadJwt');
  const payload = parseSegment(token.slice(headerEnd + 1, payloadEnd));
  // A fourth segment is refused here, because a period is not base64url.
  const signature = decodeSegment(token.slice(payloadEnd + 1));
  const { algorithm, kid } = parseHeader(token.slice(0, headerEnd));
  return { algorithm, kid, claims: readClaims(payload), signingInput: token.slice(0, payloadEnd), signature };
}

/** Decodes base64url and refuses text that is not canonical, because several texts decode to the same bytes. */
function decodeSegment(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (text === '' || bytes.toString('base64url') !== text) throw authError('BadJwt');
  return bytes;
}

function parseSegment(text: string): Readonly<Record<string, unknown>> {
  const value = parseStrictJsonObject(decodeSegment(text));
  if (value === undefined) throw authError('BadJwt');
  return value;
}

/** Parses a header segment. Issuers send the same header with every token, so the last accepted one is kept. */
function parseHeader(text: string): Header {
  if (text !== lastHeader?.text) lastHeader = { text, header: readHeader(parseSegment(text)) };
  return lastHeader.header;
}

function readHeader(header: Readonly<Record<string, unknown>>): Header {
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
 * Checks the claims but not the signature. Expiry is exact, and the leeway applies only to issuers whose clock is ahead
 * of the server's.
 * @returns the `jti`, or an empty text if none is required.
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
