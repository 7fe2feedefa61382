import { limits } from '#platform/limits.ts';

/** Rounds a time down to its bucket, so that stored times of different conversations are equal. */
export function timeBucketMs(timeMs: number, bucketSeconds: number): number {
  const bucketMs = bucketSeconds * 1_000;
  return Math.floor(timeMs / bucketMs) * bucketMs;
}

/** The smallest message size bucket for `sizeBytes`: 512 doubling to 8192, then multiples of 8192 (wire contract). */
export function sizeBucketBytes(sizeBytes: number): number {
  for (let bucket = 512; bucket < 8_192; bucket *= 2) if (sizeBytes <= bucket) return bucket;
  return Math.ceil(sizeBytes / 8_192) * 8_192;
}

/**
 * Pads `bytes` to a size bucket: a four-byte length, the bytes, zeros. For sealed values whose exact size would reveal
 * something.
 */
export function padToBucket(bytes: Uint8Array): Buffer {
  const padded = Buffer.alloc(sizeBucketBytes(bytes.length + 4));
  padded.writeUInt32BE(bytes.length);
  padded.set(bytes, 4);
  return padded;
}

/** Returns the bytes that `padToBucket` padded. */
export function unpadFromBucket(padded: Uint8Array): Buffer {
  const view = Buffer.from(padded.buffer, padded.byteOffset, padded.byteLength);
  const sizeBytes = Math.min(view.readUInt32BE(), limits.welcomeSizeBytesMax * 2);
  return view.subarray(4, 4 + sizeBytes);
}
