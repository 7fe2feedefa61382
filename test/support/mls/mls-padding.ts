import { isMessageSizeBucket } from '#mls/encoding/padding-envelope.ts';

const ENVELOPE_PREFIX_SIZE_BYTES = 4;
/** The tag size of every AEAD of RFC 9420. */
const AEAD_TAG_SIZE_BYTES = 16;

function smallestBucket(sizeBytes: number): number {
  let bucket = 512;
  while (bucket < sizeBytes) bucket = bucket < 8_192 ? bucket * 2 : bucket + 8_192;
  if (!isMessageSizeBucket(bucket)) throw new RangeError('the message is larger than the largest bucket');
  return bucket;
}

/** Wraps a message in the padding envelope of the wire contract: big-endian length, message, zeros up to the smallest bucket. */
export function wrapInEnvelope(message: Uint8Array): Uint8Array {
  const padded = Buffer.alloc(smallestBucket(message.length + ENVELOPE_PREFIX_SIZE_BYTES));
  padded.writeUInt32BE(message.length);
  padded.set(message, ENVELOPE_PREFIX_SIZE_BYTES);
  return padded;
}

function lengthFieldSizeBytes(sizeBytes: number): number {
  if (sizeBytes < 64) return 1;
  return sizeBytes < 16_384 ? 2 : 4;
}

/**
 * Returns the plaintext size with which a PrivateMessage fills its bucket.
 * @param unpaddedSizeBytes the message without padding
 * @param ciphertextSizeBytes the ciphertext field in it
 */
export function fitToBucket(
  unpaddedSizeBytes: number,
  ciphertextSizeBytes: number,
): { bucket: number; plainSizeBytes: number } {
  const clearSizeBytes = unpaddedSizeBytes - ciphertextSizeBytes - lengthFieldSizeBytes(ciphertextSizeBytes);
  // The length field of the ciphertext may grow by two bytes.
  const bucket = smallestBucket(unpaddedSizeBytes + 2);
  const roomSizeBytes = bucket - clearSizeBytes;
  const paddedSizeBytes = roomSizeBytes - lengthFieldSizeBytes(roomSizeBytes);
  return { bucket, plainSizeBytes: paddedSizeBytes - AEAD_TAG_SIZE_BYTES };
}
