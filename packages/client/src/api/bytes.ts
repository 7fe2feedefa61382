/** Base64 in blocks, because a call takes a limited number of arguments. */
const blockSizeBytes = 8_190;

/** Standard padded base64. */
export function encodeBase64(bytes: Uint8Array): string {
  let text = '';
  for (let start = 0; start < bytes.length; start += blockSizeBytes) {
    const block = bytes.subarray(start, start + blockSizeBytes);
    text += btoa(String.fromCharCode.apply(undefined, block as unknown as number[]));
  }
  return text;
}

/**
 * Decodes standard base64, with or without padding.
 * @throws DOMException InvalidCharacterError when `text` is anything else.
 */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  // A loop takes a small part of the time that `Uint8Array.from` takes.
  for (let index = 0; index < bytes.length; index += 1) bytes[index] = binary.charCodeAt(index);
  return bytes;
}

/** Lower-case hex. */
export function encodeHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Writes JSON in which a `Uint8Array` is `{"$bytes": base64}` (atproto data model). */
export function stringifyJson(value: unknown): string {
  // Node's Buffer has a toJSON of its own, so `field` may be its result; the holder has the original.
  return JSON.stringify(value, function (this: Readonly<Record<string, unknown>>, key, field: unknown) {
    const original = this[key];
    return original instanceof Uint8Array ? { $bytes: encodeBase64(original) } : field;
  });
}

/**
 * Reads JSON in which `{"$bytes": base64}` is a `Uint8Array` (atproto data model).
 * @throws SyntaxError when `text` is not JSON.
 */
export function parseJson(text: string): unknown {
  return JSON.parse(text, (_key, field: unknown) => {
    if (typeof field !== 'object' || field === null || !('$bytes' in field)) return field;
    return typeof field.$bytes === 'string' ? decodeBase64(field.$bytes) : field;
  });
}

/** Whether two values have the same bytes; `a` may be absent. */
export function areEqual(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && a.length === b.length && a.every((byte, index) => byte === b[index]);
}
