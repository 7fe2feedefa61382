import { base58btc } from 'multiformats/bases/base58';
import { importVerifier } from './signature.ts';
import type { Curve, VerifySignature } from './signature.ts';

/** One verification method of a DID document (W3C DID Core section 5.2), as far as it concerns us. */
export interface VerificationMethod {
  readonly id: string;
  readonly type: string;
  readonly publicKeyMultibase?: string | undefined;
  readonly publicKeyJwk?: Readonly<Record<string, unknown>> | undefined;
}

/** A parsed public key of a DID document. */
export interface SigningKey {
  /** The JWS algorithm (RFC 7518, RFC 8812) that this key's type allows, and no other. */
  readonly algorithm: 'ES256K' | 'ES256';
  /** `did#fragment` */
  readonly id: string;
  readonly verify: VerifySignature;
}

const algorithms = { secp256k1: 'ES256K', p256: 'ES256' } as const satisfies Record<Curve, SigningKey['algorithm']>;

/** Suites from before Multikey: the multibase text holds the bare point. */
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

/** An uncompressed point takes 90 characters; base58 costs time by the square of the length. */
const multibaseLengthMax = 128;

/** A public key before the costly part of reading it: it may still not be a point of the curve. */
export interface CurvePoint {
  readonly curve: Curve;
  /** SEC 1 */
  readonly point: Uint8Array;
}

/** The key in `method`, or undefined when it is of a kind that signs no service tokens, or malformed. */
export function readCurvePoint(method: VerificationMethod): CurvePoint | undefined {
  try {
    return method.publicKeyJwk === undefined ? pointOfMultibase(method) : pointOfJwk(method.publicKeyJwk);
  } catch {
    return undefined;
  }
}

/** A key to verify with, or undefined when the point is not on the curve. Takes about 0.1 ms. */
export function importSigningKey(id: string, { curve, point }: CurvePoint): SigningKey | undefined {
  try {
    return { algorithm: algorithms[curve], id, verify: importVerifier(curve, point) };
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

/** Multicodec prefixes 0xe7 (secp256k1-pub) and 0x1200 (p256-pub) as varints, before a compressed point. */
function pointOfMultikey(bytes: Uint8Array): CurvePoint | undefined {
  const point = bytes.subarray(2);
  if (point.length !== 33) return undefined;
  if (bytes[0] === 0xe7 && bytes[1] === 0x01) return { curve: 'secp256k1', point };
  if (bytes[0] === 0x80 && bytes[1] === 0x24) return { curve: 'p256', point };
  return undefined;
}

/** RFC 7518 section 6.2.1 and RFC 8812 section 3.1. */
function pointOfJwk(jwk: Readonly<Record<string, unknown>>): CurvePoint | undefined {
  const { kty, crv, x, y } = jwk as { kty?: unknown; crv?: unknown; x?: unknown; y?: unknown };
  const curve = jwkCurves.get(crv);
  if (kty !== 'EC' || curve === undefined || typeof x !== 'string' || typeof y !== 'string') return undefined;
  const [xBytes, yBytes] = [Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')];
  if (xBytes.length !== 32 || yBytes.length !== 32) return undefined;
  return { curve, point: Buffer.concat([Buffer.from([4]), xBytes, yBytes]) };
}
