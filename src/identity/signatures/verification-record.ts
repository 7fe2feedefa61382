/** Digest, signature and uncompressed public key of one check, one behind the other. */
export const recordSizeBytes = 32 + 64 + 65;
export const signatureStartsAt = 32;
export const publicKeyStartsAt = 32 + 64;

/** A batch on its way to the thread, and back: one byte for each record, 1 for a signature that is right. */
export interface VerificationBatch {
  readonly id: number;
  readonly bytes: Uint8Array;
}
