/** Size of one record, which is a digest, a signature and an uncompressed public key, in this order. */
export const recordSizeBytes = 32 + 64 + 65;
export const signatureStartsAt = 32;
export const publicKeyStartsAt = 32 + 64;

/**
 * A message between the main thread and the verification thread. A message to the verification thread contains the
 * records of a batch. The reply contains one byte for each record, which is 1 if the signature is valid.
 */
export interface VerificationBatch {
  readonly id: number;
  readonly bytes: Uint8Array;
}
