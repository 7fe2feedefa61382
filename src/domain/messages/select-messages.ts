import type { Sql } from '#storage/connection/database.ts';
import { selectBySeq } from './store.ts';
import type { MessageRowOrRest } from './store.ts';

/**
 * Stored messages by number, for those who have been found entitled; `seqs[i]` belongs to `groupIds[i]`. At most
 * `sizeBytesMax` of bodies and one more; the others come without theirs.
 */
export async function selectMessagesBySeq(
  deps: { sql: Sql },
  wanted: { groupIds: readonly Buffer[]; seqs: readonly number[]; sizeBytesMax: number },
): Promise<MessageRowOrRest[]> {
  return selectBySeq(deps.sql, wanted);
}
