import { createRequire } from 'node:module';

/** What is used of the native `secp256k1` addon; it has no types of its own. Functions throw on input that cannot be parsed. */
interface NativeSecp256k1 {
  ecdsaVerify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean;
  /** Works in place. */
  signatureNormalize(signature: Uint8Array): Uint8Array;
}

/**
 * Checks a raw R‖S signature over a SHA-256 digest against an uncompressed public key; both parities of S are accepted. Bytes that
 * cannot be parsed are wrong, never an error.
 */
export type VerifyDigest = (digest: Uint8Array, signature: Uint8Array, publicKey: Uint8Array) => boolean;

/**
 * The native verifier, or undefined where the addon does not load. The package's main entry would fall back to JavaScript in
 * silence, at 500 a second; this one fails instead.
 */
export function loadNativeVerifier(): VerifyDigest | undefined {
  const addon = loadAddon();
  if (addon === undefined) return undefined;
  return (digest, signature, publicKey) => {
    try {
      // The addon refuses high S, which service tokens may have (the network does not enforce low S for them).
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
