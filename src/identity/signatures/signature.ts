import { createPublicKey, ECDH, hash, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { loadNativeVerifier } from './native-secp256k1.ts';
import { createVerificationPool } from './verification-pool.ts';
import type { VerifyLater } from './verification-pool.ts';

/**
 * The library that checks secp256k1 signatures. On one core the addon checks 16,000 signatures a second, and OpenSSL
 * checks 2,000.
 */
export type SignatureBackend = 'secp256k1-native' | 'node-crypto';

export type Curve = 'secp256k1' | 'p256';

/**
 * Checks an ECDSA signature over the SHA-256 digest of `data`, and never throws. `signature` is R‖S in 64 bytes, and S
 * may be low or high.
 */
export type VerifySignature = (data: Uint8Array, signature: Uint8Array) => Promise<boolean>;

const native = loadNative();

/** The backend that checks secp256k1 signatures in this process. */
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
 * Imports a public key for many verifications. `point` is compressed or uncompressed (SEC 1).
 * @throws Error when `point` is not a point of the curve.
 */
export function importVerifier(
  curve: Curve,
  point: Uint8Array,
  backend: SignatureBackend = signatureBackend,
): VerifySignature {
  const { opensslName, jwkName, order } = curves[curve];
  const uncompressed = ECDH.convertKey(point, opensslName, undefined, undefined, 'uncompressed');
  // The point at infinity is encoded as one byte and is not a valid key.
  if (typeof uncompressed === 'string' || uncompressed.length !== 65) throw new TypeError('not an EC public key');
  const isInRange = (signature: Uint8Array): boolean =>
    signature.length === signatureSizeBytes &&
    isScalar(signature.subarray(0, 32), order) &&
    isScalar(signature.subarray(32), order);
  if (curve === 'secp256k1' && backend === 'secp256k1-native' && native !== undefined) {
    return async (data, signature) =>
      isInRange(signature) && (await native(hash('sha256', data, 'buffer'), signature, uncompressed));
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

function verifyOpenSsl(key: KeyObject, data: Uint8Array, signature: Uint8Array): Promise<boolean> {
  return verifyOnThreadPool('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature);
}

/**
 * Loads the native verifier. It runs on a second thread, except on a machine with one core, where a second thread gains
 * nothing.
 */
function loadNative(): VerifyLater | undefined {
  const verify = loadNativeVerifier();
  if (verify === undefined) return undefined;
  return availableParallelism() > 1 ? createVerificationPool(verify) : async (...parts) => verify(...parts);
}
