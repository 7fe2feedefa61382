import { createPublicKey, ECDH, hash, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';

/** What is used of the native `secp256k1` addon; it has no types of its own. Functions throw on input that cannot be parsed. */
interface NativeSecp256k1 {
  ecdsaVerify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean;
  /** Works in place. */
  signatureNormalize(signature: Uint8Array): Uint8Array;
}

/** Who checks secp256k1 signatures: the addon does 16,000 a second on one core, OpenSSL 2,000. */
export type SignatureBackend = 'secp256k1-native' | 'node-crypto';

export type Curve = 'secp256k1' | 'p256';

/** Checks ECDSA with SHA-256 over `data`; `signature` is 64 bytes R‖S, of either parity of S. Never throws. */
export type VerifySignature = (data: Uint8Array, signature: Uint8Array) => Promise<boolean>;

const native = loadNative();

/** Which backend checks secp256k1 signatures in this process. */
export const signatureBackend: SignatureBackend = native === undefined ? 'node-crypto' : 'secp256k1-native';

const curves = {
  secp256k1: {
    jwkName: 'secp256k1',
    opensslName: 'secp256k1',
    order: Buffer.from('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141', 'hex'),
  },
  p256: {
    jwkName: 'P-256',
    opensslName: 'prime256v1',
    order: Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex'),
  },
} as const;

const signatureSizeBytes = 64;
const verifyOnThreadPool = promisify(verify);
const zero = Buffer.alloc(32);

/**
 * Reads a public key once for many verifications. `point` is compressed or uncompressed (SEC 1).
 * @throws Error when it is not a point of the curve.
 */
export function importVerifier(
  curve: Curve,
  point: Uint8Array,
  backend: SignatureBackend = signatureBackend,
): VerifySignature {
  const { opensslName, jwkName, order } = curves[curve];
  const uncompressed = ECDH.convertKey(point, opensslName, undefined, undefined, 'uncompressed');
  // The point at infinity is one byte.
  if (typeof uncompressed === 'string' || uncompressed.length !== 65) throw new TypeError('not an EC public key');
  const isInRange = (signature: Uint8Array): boolean =>
    signature.length === signatureSizeBytes &&
    isScalar(signature.subarray(0, 32), order) &&
    isScalar(signature.subarray(32), order);
  if (curve === 'secp256k1' && backend === 'secp256k1-native' && native !== undefined) {
    const addon = native;
    return (data, signature) =>
      Promise.resolve(isInRange(signature) && verifyNative(addon, uncompressed, { data, signature }));
  }
  const key = createPublicKey({
    key: {
      kty: 'EC',
      crv: jwkName,
      x: uncompressed.subarray(1, 33).toString('base64url'),
      y: uncompressed.subarray(33).toString('base64url'),
    },
    format: 'jwk',
  });
  return async (data, signature) => isInRange(signature) && (await verifyOpenSsl(key, data, signature));
}

function isScalar(value: Uint8Array, order: Buffer): boolean {
  return order.compare(value) > 0 && zero.compare(value) < 0;
}

/** The addon refuses high S, which service tokens may have (the network does not enforce low S for them). */
function verifyNative(
  addon: NativeSecp256k1,
  publicKey: Uint8Array,
  signed: { data: Uint8Array; signature: Uint8Array },
): boolean {
  const lowS = addon.signatureNormalize(Uint8Array.from(signed.signature));
  return addon.ecdsaVerify(lowS, hash('sha256', signed.data, 'buffer'), publicKey);
}

function verifyOpenSsl(key: KeyObject, data: Uint8Array, signature: Uint8Array): Promise<boolean> {
  return verifyOnThreadPool('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature);
}

/** The package's main entry would fall back to JavaScript in silence, at 500 a second; this one fails instead. */
function loadNative(): NativeSecp256k1 | undefined {
  try {
    const addon: unknown = createRequire(import.meta.url)('secp256k1/bindings');
    return addon as NativeSecp256k1;
  } catch {
    return undefined;
  }
}
