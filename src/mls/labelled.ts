import { createHash } from 'node:crypto';

import type { SuiteHash } from './cipher-suites.ts';

/** `opaque<V>` with the shortest length encoding, RFC 9420 section 2.1.2. */
function encodeOpaque(bytes: Uint8Array): Buffer {
  const sizeBytes = bytes.length;
  if (sizeBytes < 64) return Buffer.concat([Buffer.of(sizeBytes), bytes]);
  if (sizeBytes < 16_384) return Buffer.concat([Buffer.of(0x40 | (sizeBytes >> 8), sizeBytes & 0xff), bytes]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(0x8000_0000 + sizeBytes);
  return Buffer.concat([length, bytes]);
}

/** SignContent of RFC 9420 section 5.1.2. */
export function signContent(label: string, content: Uint8Array): Buffer {
  return Buffer.concat([encodeOpaque(Buffer.from(`MLS 1.0 ${label}`)), encodeOpaque(content)]);
}

/** RefHash of RFC 9420 section 5.2. */
export function refHash(label: string, value: Uint8Array, hash: SuiteHash): Uint8Array {
  return createHash(hash)
    .update(encodeOpaque(Buffer.from(label)))
    .update(encodeOpaque(value))
    .digest();
}
