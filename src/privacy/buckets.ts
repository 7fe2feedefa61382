import { limits } from '#platform/limits.ts';

/** Rounds a time down to its bucket, so that rows of different conversations store equal times. */
export function timeBucketMs(timeMs: number, bucketSeconds: number): number {
  const bucketMs = bucketSeconds * 1_000;
  return Math.floor(timeMs / bucketMs) * bucketMs;
}

/**
 * Returns the smallest size bucket of at least `sizeBytes` bytes. Buckets are 512, 1024, 2048 and 4096 bytes and the
 * multiples of 8192 bytes, as the wire contract requires.
 */
export function sizeBucketBytes(sizeBytes: number): number {
  for (let bucket = 512; bucket < 8_192; bucket *= 2) if (sizeBytes <= bucket) return bucket;
  return Math.ceil(sizeBytes / 8_192) * 8_192;
}

/**
 * Pads `bytes` with zeros to a size bucket, after a four-byte length, so that the size of the sealed value does not
 * reveal the exact length.
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
