import { limits } from '#platform/limits.ts';

/** Rounds a time down to the bucket, so that stored times line up across conversations. */
export function timeBucketMs(timeMs: number, bucketSeconds: number): number {
  const bucketMs = bucketSeconds * 1_000;
  return Math.floor(timeMs / bucketMs) * bucketMs;
}

/** The smallest message bucket that holds `sizeBytes`: 512 doubling to 8192, then multiples of 8192 (wire contract). */
export function sizeBucketBytes(sizeBytes: number): number {
  for (let bucket = 512; bucket < 8_192; bucket *= 2) if (sizeBytes <= bucket) return bucket;
  return Math.ceil(sizeBytes / 8_192) * 8_192;
}

/** `bytes` behind a four-byte length and in front of zeros up to a size bucket; for sealed blobs whose true size would speak. */
export function padToBucket(bytes: Uint8Array): Buffer {
  const padded = Buffer.alloc(sizeBucketBytes(bytes.length + 4));
  padded.writeUInt32BE(bytes.length);
  padded.set(bytes, 4);
  return padded;
}

/** Undoes `padToBucket`. */
export function unpadFromBucket(padded: Uint8Array): Buffer {
  const view = Buffer.from(padded.buffer, padded.byteOffset, padded.byteLength);
  const sizeBytes = Math.min(view.readUInt32BE(), limits.welcomeSizeBytesMax * 2);
  return view.subarray(4, 4 + sizeBytes);
}
