/**
 * Decodes base64: standard or URL-safe alphabet, with or without padding.
 * @returns undefined when `text` is anything else, for example contains white space.
 */
export function decodeBase64(text: string): Buffer | undefined {
  // Node uses only the low byte of a character, so it reads U+0141 as "A".
  if (Buffer.byteLength(text, 'utf8') !== text.length) return undefined;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  if (padding > 0 && text.length % 4 !== 0) return undefined;
  const digits = text.length - padding;
  if (digits % 4 === 1) return undefined;
  const bytes = Buffer.from(text, 'base64');
  // Node skips invalid characters, so bytes are missing exactly when a character was skipped.
  return bytes.length === Math.floor((digits * 3) / 4) ? bytes : undefined;
}

/** Encodes as standard padded base64, the form of every string and `$bytes` that the service sends. */
export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
