import { createRequire } from 'node:module';

/** The functions of the native `secp256k1` addon that the service calls. They throw on input that cannot be parsed. */
interface NativeSecp256k1 {
  ecdsaVerify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean;
  /** Changes the bytes in place, so that S is low. */
  signatureNormalize(signature: Uint8Array): Uint8Array;
}

/**
 * Checks a raw R‖S signature over a SHA-256 digest with an uncompressed public key. Accepts low and high S, and returns
 * false for bytes that cannot be parsed.
 */
export type VerifyDigest = (digest: Uint8Array, signature: Uint8Array, publicKey: Uint8Array) => boolean;

/**
 * Returns the native verifier, or undefined where the addon does not load. Loads `secp256k1/bindings`, because the
 * package's main entry falls back to JavaScript (500 signatures a second) without an error.
 */
export function loadNativeVerifier(): VerifyDigest | undefined {
  const addon = loadAddon();
  if (addon === undefined) return undefined;
  return (digest, signature, publicKey) => {
    try {
      // The addon refuses high S, which atproto allows in service tokens.
      return addon.ecdsaVerify(addon.signatureNormalize(Uint8Array.from(signature)), digest, publicKey);
    } catch {
      return false;
    }
  };
}

function loadAddon(): NativeSecp256k1 | undefined {
  try {
    const addon: unknown = createRequire(import.meta.url)('secp256k1/bindings');
    return addon as NativeSecp256k1;
  } catch {
    return undefined;
  }
}
