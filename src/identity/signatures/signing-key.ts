import { base58btc } from 'multiformats/bases/base58';
import { importVerifier } from './signature.ts';
import type { Curve, VerifySignature } from './signature.ts';

/** One verification method of a DID document (W3C DID Core section 5.2), with the fields that the service uses. */
export interface VerificationMethod {
  readonly id: string;
  readonly type: string;
  readonly publicKeyMultibase?: string | undefined;
  readonly publicKeyJwk?: Readonly<Record<string, unknown>> | undefined;
}

/** A public key of a DID document that is ready to verify tokens. */
export interface SigningKey {
  /** The only JWS algorithm (RFC 7518, RFC 8812) that the type of this key allows. */
  readonly algorithm: 'ES256K' | 'ES256';
  /** The full id, `did#fragment`. */
  readonly id: string;
  readonly verify: VerifySignature;
  /** The holder of the key, as one object for as long as the key is cached. */
  readonly holder: KeyHolder;
}

/** The account of a DID document. Callers may store in a WeakMap what they compute for an account. */
export interface KeyHolder {
  readonly did: string;
}

const algorithms = { secp256k1: 'ES256K', p256: 'ES256' } as const satisfies Record<Curve, SigningKey['algorithm']>;

/** Key types that are older than Multikey. Their multibase text contains the point without a multicodec prefix. */
const legacyCurves: ReadonlyMap<string, Curve> = new Map([
  ['EcdsaSecp256k1VerificationKey2019', 'secp256k1'],
  ['EcdsaSecp256r1VerificationKey2019', 'p256'],
]);

const jwkCurves: ReadonlyMap<unknown, Curve> = new Map<unknown, Curve>([
  ['P-256', 'p256'],
  ['secp256k1', 'secp256k1'],
  ['K-256', 'secp256k1'],
  ['P-256K', 'secp256k1'],
]);

/**
 * Limits the base58 decoding time, which grows with the square of the length. An uncompressed point has 90 characters.
 */
const multibaseLengthMax = 128;

/** A parsed public key whose `point` has not been checked to be on the curve. */
export interface CurvePoint {
  readonly curve: Curve;
  /** The point in SEC 1 encoding, compressed or uncompressed. */
  readonly point: Uint8Array;
}

/** Returns the key in `method`, or undefined when it is malformed or of a type that cannot sign service tokens. */
export function readCurvePoint(method: VerificationMethod): CurvePoint | undefined {
  try {
    return method.publicKeyJwk === undefined ? pointOfMultibase(method) : pointOfJwk(method.publicKeyJwk);
  } catch {
    return undefined;
  }
}

/** Imports a key for verification, or returns undefined when the point is not on the curve. Takes about 0.1 ms. */
export function importSigningKey(holder: KeyHolder, id: string, { curve, point }: CurvePoint): SigningKey | undefined {
  try {
    return { algorithm: algorithms[curve], id, verify: importVerifier(curve, point), holder };
  } catch {
    return undefined;
  }
}

function pointOfMultibase(method: VerificationMethod): CurvePoint | undefined {
  const text = method.publicKeyMultibase;
  if (text === undefined || text.length > multibaseLengthMax) return undefined;
  const bytes = base58btc.decode(text);
  const legacy = legacyCurves.get(method.type);
  if (legacy !== undefined) return { curve: legacy, point: bytes };
  return method.type === 'Multikey' ? pointOfMultikey(bytes) : undefined;
}

/**
 * Reads a compressed point after a multicodec prefix, which is the varint of 0xe7 (secp256k1-pub) or 0x1200 (p256-pub).
 */
function pointOfMultikey(bytes: Uint8Array): CurvePoint | undefined {
  const point = bytes.subarray(2);
  if (point.length !== 33) return undefined;
  if (bytes[0] === 0xe7 && bytes[1] === 0x01) return { curve: 'secp256k1', point };
  if (bytes[0] === 0x80 && bytes[1] === 0x24) return { curve: 'p256', point };
  return undefined;
}

/** Reads an EC key in JWK form (RFC 7518 section 6.2.1, RFC 8812 section 3.1). */
function pointOfJwk(jwk: Readonly<Record<string, unknown>>): CurvePoint | undefined {
  const { kty, crv, x, y } = jwk as { kty?: unknown; crv?: unknown; x?: unknown; y?: unknown };
  const curve = jwkCurves.get(crv);
  if (kty !== 'EC' || curve === undefined || typeof x !== 'string' || typeof y !== 'string') return undefined;
  const [xBytes, yBytes] = [Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')];
  if (xBytes.length !== 32 || yBytes.length !== 32) return undefined;
  return { curve, point: Buffer.concat([Buffer.from([4]), xBytes, yBytes]) };
}
