import { InvariantError } from '#platform/errors.ts';
import { limits } from '#platform/limits.ts';

const groupIdSizeBytesMax = limits.groupIdHexLengthMax / 2;
const slotSizeBytes = groupIdSizeBytesMax + 1;
const slotsMin = 16;
/** What sealing adds. */
const sealSizeBytes = 30;

/**
 * A person's conversations as bytes of a few sizes only: a count, then slots of one length, padded to a power of two, so
 * that the sealed value does not tell how many there are.
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

/** Of a list of `count` conversations as it is stored; longer ones are at least as large. */
export function sealedListSizeBytes(count: number): number {
  return listSizeBytes(count) + sealSizeBytes;
}

/** @throws InvariantError when the bytes are not of `encodeConversationList`. */
export function decodeConversationList(bytes: Buffer): Buffer[] {
  const count = bytes.readUInt16BE();
  if (2 + count * slotSizeBytes > bytes.length)
    throw new InvariantError('a conversation list is shorter than its count');
  return Array.from({ length: count }, (_, index) => {
    const offset = 2 + index * slotSizeBytes;
    return bytes.subarray(offset + 1, offset + 1 + bytes.readUInt8(offset));
  });
}
