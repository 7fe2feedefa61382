import type { Db } from '#storage/database.ts';
import { deleteExpired } from './store.ts';

const batchRowsMax = 1_000;
const batchesMax = 1_000;

/**
 * Removes chat requests past their time, and the held messages of those that expired or were accepted a day ago, in short
 * transactions. Safe to run twice and on several workers at once.
 */
export async function compactChatRequests(deps: { db: Db }): Promise<{ removed: number }> {
  let removed = 0;
  for (let batch = 0; batch < batchesMax; batch++) {
    const deleted = await deleteExpired(deps.db, batchRowsMax);
    removed += deleted;
    if (deleted === 0) break;
  }
  return { removed };
}
