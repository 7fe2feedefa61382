import type { Sql } from '#storage/connection/database.ts';
import { selectBySeq } from './store.ts';
import type { MessageRowOrOmitted } from './store.ts';

/**
 * Reads stored messages by number, without a membership check; `seqs[i]` belongs to `groupIds[i]`. Bodies are left out
 * once the bodies before them have `sizeBytesMax` bytes together.
 */
export async function readMessagesBySeq(
  deps: { sql: Sql },
  wanted: { groupIds: readonly Buffer[]; seqs: readonly number[]; sizeBytesMax: number },
): Promise<MessageRowOrOmitted[]> {
  return selectBySeq(deps.sql, wanted);
}
