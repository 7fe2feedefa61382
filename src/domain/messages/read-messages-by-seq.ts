import type { Sql } from '#storage/connection/database.ts';
import { selectBySeq } from './store.ts';
import type { MessageRowOrOmitted } from './store.ts';

/**
 * Reads the messages with number `seqs[i]` in conversation `groupIds[i]`, without a membership check. Once the bodies
 * have `sizeBytesMax` bytes together, the bodies of further messages are null.
 */
export async function readMessagesBySeq(
  deps: { sql: Sql },
  wanted: { groupIds: readonly Buffer[]; seqs: readonly number[]; sizeBytesMax: number },
): Promise<MessageRowOrOmitted[]> {
  return selectBySeq(deps.sql, wanted);
}
