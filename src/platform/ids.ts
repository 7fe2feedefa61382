import { randomBytes, randomUUID } from 'node:crypto';

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Returns a random version 4 UUID, for example for a new device. */
export function newUuid(): string {
  return randomUUID();
}

/** Returns whether the text is a UUID in lower-case hex, the form that `newUuid` returns. */
export function isUuid(text: string): boolean {
  return uuid.test(text);
}

/** Returns `sizeBytes` random bytes that are suitable as a secret. */
export function newSecret(sizeBytes: number): Buffer {
  return randomBytes(sizeBytes);
}

/** Returns a random id that identifies one request in the log and contains nothing about the caller. */
export function newRequestId(): string {
  // Node prefetches random bytes for UUIDs, which makes them thirty times cheaper than calls of randomBytes.
  return randomUUID().replaceAll('-', '').slice(0, 16);
}
