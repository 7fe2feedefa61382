import { createHash } from 'node:crypto';

import type { SuiteHash } from '../cipher-suites.ts';

/** Encodes the length of an `opaque<V>` in the shortest form (RFC 9420 section 2.1.2). */
function lengthOf({ length: sizeBytes }: Uint8Array): Buffer {
  if (sizeBytes < 64) return Buffer.of(sizeBytes);
  if (sizeBytes < 16_384) return Buffer.of(0x40 | (sizeBytes >> 8), sizeBytes & 0xff);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(0x8000_0000 + sizeBytes);
  return length;
}

/** Encodes the SignContent of a label and a content (RFC 9420 section 5.1.2). */
export function signContent(label: string, content: Uint8Array): Buffer {
  const full = Buffer.from(`MLS 1.0 ${label}`);
  return Buffer.concat([lengthOf(full), full, lengthOf(content), content]);
}

/** Computes the RefHash of a label and a value (RFC 9420 section 5.2). */
export function refHash(label: string, value: Uint8Array, hash: SuiteHash): Uint8Array {
  const full = Buffer.from(label);
  return createHash(hash).update(lengthOf(full)).update(full).update(lengthOf(value)).update(value).digest();
}
