import type { Sql } from '#storage/database.ts';
import { selectBySeq } from './store.ts';
import type { MessageRow } from './store.ts';

/** Stored messages by number, for those who have been found entitled; `seqs[i]` belongs to `groupIds[i]`. */
export async function selectMessagesBySeq(
  deps: { sql: Sql },
  wanted: { groupIds: readonly Buffer[]; seqs: readonly number[] },
): Promise<MessageRow[]> {
  return selectBySeq(deps.sql, wanted);
}
