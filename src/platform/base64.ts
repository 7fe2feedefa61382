/**
 * Decodes base64 in the standard or the URL-safe alphabet, with or without padding.
 * @returns undefined when `text` is not valid base64, for example because it contains white space.
 */
export function decodeBase64(text: string): Buffer | undefined {
  // Text with other characters than ASCII is refused here, because Node would read U+0141 as "A" from its low byte.
  if (Buffer.byteLength(text, 'utf8') !== text.length) return undefined;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  if (padding > 0 && text.length % 4 !== 0) return undefined;
  const digits = text.length - padding;
  if (digits % 4 === 1) return undefined;
  const bytes = Buffer.from(text, 'base64');
  // Node skips invalid characters, so a result that is too short means that `text` contains one.
  return bytes.length === Math.floor((digits * 3) / 4) ? bytes : undefined;
}

/** Encodes bytes as padded base64 in the standard alphabet, which all base64 strings of responses use. */
export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
