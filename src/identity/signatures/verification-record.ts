/** Size of one check: digest, signature and uncompressed public key, in this order. */
export const recordSizeBytes = 32 + 64 + 65;
export const signatureStartsAt = 32;
export const publicKeyStartsAt = 32 + 64;

/** A message to the thread, with the records of a batch, or from it, with one byte for each record: 1 if the signature is valid. */
export interface VerificationBatch {
  readonly id: number;
  readonly bytes: Uint8Array;
}
