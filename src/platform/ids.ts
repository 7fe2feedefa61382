import { randomBytes, randomUUID } from 'node:crypto';

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A random version 4 UUID, for device ids and the like. */
export function newUuid(): string {
  return randomUUID();
}

/** Whether the text is a UUID in lower-case hex, as `newUuid` returns it. */
export function isUuid(text: string): boolean {
  return uuid.test(text);
}

/** `sizeBytes` random bytes from the operating system. */
export function newSecret(sizeBytes: number): Buffer {
  return randomBytes(sizeBytes);
}

/** A random id that follows one request through the log; it is made by us and says nothing about the caller. */
export function newRequestId(): string {
  // Node draws random bytes for UUIDs ahead, which makes them thirty times cheaper than asking for a few each time.
  return randomUUID().replaceAll('-', '').slice(0, 16);
}
