import { InvariantError } from '#platform/errors.ts';
import { limits } from '#platform/limits.ts';

const groupIdSizeBytesMax = limits.groupIdHexLengthMax / 2;
const slotSizeBytes = groupIdSizeBytesMax + 1;
const slotsMin = 16;
/** Bytes that sealing adds to a value. */
const sealSizeBytes = 30;

/**
 * Encodes a person's conversations as a count and slots of one length. The number of slots is rounded up to a power of
 * two, so that the size of the sealed value does not show the number of conversations.
 */
export function encodeConversationList(groupIds: readonly Buffer[]): Buffer {
  const bytes = Buffer.alloc(listSizeBytes(groupIds.length));
  bytes.writeUInt16BE(groupIds.length);
  groupIds.forEach((groupId, index) => {
    const offset = 2 + index * slotSizeBytes;
    bytes.writeUInt8(groupId.length, offset);
    groupId.copy(bytes, offset + 1);
  });
  return bytes;
}

function listSizeBytes(count: number): number {
  let slots = slotsMin;
  while (slots < count) slots *= 2;
  return 2 + slots * slotSizeBytes;
}

/**
 * Computes the size in bytes of a sealed list of `count` conversations. A list with more conversations is never
 * smaller.
 */
export function sealedListSizeBytes(count: number): number {
  return listSizeBytes(count) + sealSizeBytes;
}

/**
 * Decodes bytes that `encodeConversationList` returned.
 * @throws InvariantError when the bytes are shorter than their count requires.
 */
export function decodeConversationList(bytes: Buffer): Buffer[] {
  const count = bytes.readUInt16BE();
  if (2 + count * slotSizeBytes > bytes.length)
    throw new InvariantError('a conversation list is shorter than its count');
  return Array.from({ length: count }, (_, index) => {
    const offset = 2 + index * slotSizeBytes;
    return bytes.subarray(offset + 1, offset + 1 + bytes.readUInt8(offset));
  });
}
