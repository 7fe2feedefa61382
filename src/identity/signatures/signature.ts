import { createPublicKey, ECDH, hash, verify } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { createIterationLimit } from './iteration-limit.ts';
import { loadNativeVerifier } from './native-secp256k1.ts';
import type { VerifyDigest } from './native-secp256k1.ts';
import { createVerificationPool } from './verification-pool.ts';

/**
 * The library that checks secp256k1 signatures. On one core the addon checks 16,000 signatures a second, and OpenSSL
 * checks 2,000.
 */
export type SignatureBackend = 'secp256k1-native' | 'node-crypto';

export type Curve = 'secp256k1' | 'p256';

/**
 * Checks an ECDSA signature over the SHA-256 digest of `data`, and never throws. `signature` is R‖S in 64 bytes, and S
 * may be low or high. Returns a promise if another thread checks the signature.
 */
export type VerifySignature = (data: string, signature: Uint8Array) => boolean | Promise<boolean>;

/**
 * Checks of one iteration of the event loop that run on the main thread; the others run on a second thread. Passing
 * one check to it costs more than the check itself, which takes 50 µs (docs/decisions/0030).
 */
const checksHereMax = availableParallelism() > 1 ? 4 : Infinity;
const isCheckedHere = createIterationLimit(checksHereMax);

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
    signature.length === signatureSizeBytes && isScalar(signature, 0, order) && isScalar(signature, 32, order);
  if (curve === 'secp256k1' && backend === 'secp256k1-native' && native !== undefined) {
    return (data, signature) => isInRange(signature) && native(hash('sha256', data, 'buffer'), signature, uncompressed);
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
  const options = { key, dsaEncoding: 'ieee-p1363' } as const;
  return (data, signature) => {
    if (!isInRange(signature)) return false;
    const bytes = Buffer.from(data);
    // OpenSSL needs half a millisecond for secp256k1, which would delay the other requests.
    return curve === 'p256' && isCheckedHere()
      ? verify('sha256', bytes, options, signature)
      : verifyOnThreadPool('sha256', bytes, options, signature);
  };
}

function isScalar(signature: Uint8Array, start: number, order: Buffer): boolean {
  return order.compare(signature, start, start + 32) > 0 && zero.compare(signature, start, start + 32) < 0;
}

/** Loads the native verifier, which checks in place up to a number of signatures in one iteration of the event loop. */
function loadNative(): ((...parts: Parameters<VerifyDigest>) => ReturnType<VerifySignature>) | undefined {
  const verifyHere = loadNativeVerifier();
  if (verifyHere === undefined) return undefined;
  const verifyLater = createVerificationPool(verifyHere);
  return (...parts) => (isCheckedHere() ? verifyHere(...parts) : verifyLater(...parts));
}
