import { SealError } from '#privacy/privacy.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { LogPosition } from './event.ts';

/** A place in the log as clients hold it: sealed, so that it tells nothing of the service's traffic. */
export interface EventCursor extends LogPosition {
  /** When the event was received; older than the retention means that events may be missing behind it. */
  readonly receivedAtMs: number;
}

/** The generation of the database: its cursors mean nothing in another one. */
export interface CursorCodec {
  encode(cursor: EventCursor): string;
  /** Undefined for cursors that are not ours, or of another generation of the database. */
  decode(text: string): EventCursor | undefined;
}

const headSizeBytes = 8 + 8 + 8;

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
