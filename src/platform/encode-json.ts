import { encodeBase64 } from './base64.ts';

/**
 * Encodes a response or an event as JSON. Bytes become `{"$bytes": …}` in padded standard base64, and fields with the
 * value undefined are omitted.
 */
export function encodeJson(value: unknown): string {
  return JSON.stringify(containsBytes(value) ? plain(value) : value);
}

function containsBytes(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return value instanceof Uint8Array || Object.values(value).some(containsBytes);
}

function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return { $bytes: encodeBase64(value) };
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}
