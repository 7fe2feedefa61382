import { SealError } from '#privacy/privacy.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { LogPosition } from './event.ts';

/** A log position in a client's cursor; sealed, so that it reveals nothing about the service's traffic. */
export interface EventCursor extends LogPosition {
  /** When the event was received; if that is longer ago than the retention, later events may have expired. */
  readonly receivedAtMs: number;
}

/** Encodes and decodes cursors of one database generation; a restored database has a new generation. */
export interface CursorCodec {
  encode(cursor: EventCursor): string;
  /** Undefined for text that is not a cursor of this service, or is one of another database generation. */
  decode(text: string): EventCursor | undefined;
}

const headSizeBytes = 8 + 8 + 8;

/** @param generation the database's cursor generation, which is bound into every cursor. */
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
