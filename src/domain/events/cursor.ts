import { SealError } from '#privacy/privacy.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { LogPosition } from './event.ts';

/** The content of a client's cursor, which is sealed so that clients learn nothing about the service's traffic. */
export interface EventCursor extends LogPosition {
  /**
   * The time of the event, in milliseconds since the Unix epoch. Events after a cursor that is older than the retention
   * may have expired.
   */
  readonly receivedAtMs: number;
}

/**
 * Encodes and decodes cursors of one database generation. A restored database has a new generation, so older cursors
 * are invalid.
 */
export interface CursorCodec {
  encode(cursor: EventCursor): string;
  /** Returns undefined for text that is not a cursor of this service and this database generation. */
  decode(text: string): EventCursor | undefined;
}

const headSizeBytes = 8 + 8 + 8;

/**
 * Creates the codec of a database's cursors.
 * @param generation the database's cursor generation, to which every cursor is bound.
 */
export function createCursorCodec(privacy: Privacy, generation: Buffer): CursorCodec {
  return {
    encode(cursor) {
      const bytes = Buffer.alloc(headSizeBytes + cursor.groupId.length);
      bytes.writeBigUInt64BE(BigInt(cursor.position), 0);
      bytes.writeBigUInt64BE(BigInt(cursor.eventNo), 8);
      bytes.writeBigUInt64BE(BigInt(cursor.receivedAtMs), 16);
      cursor.groupId.copy(bytes, headSizeBytes);
      return privacy.seal('event-cursor', [generation], bytes).toString('base64url');
    },
    decode(text) {
      try {
        const bytes = privacy.unseal('event-cursor', [generation], Buffer.from(text, 'base64url'));
        return {
          position: Number(bytes.readBigUInt64BE(0)),
          eventNo: Number(bytes.readBigUInt64BE(8)),
          receivedAtMs: Number(bytes.readBigUInt64BE(16)),
          groupId: bytes.subarray(headSizeBytes),
        };
      } catch (error) {
        if (error instanceof SealError) return undefined;
        throw error;
      }
    },
  };
}
