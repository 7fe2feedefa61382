import type { Db } from '#storage/database.ts';
import { deleteExpired } from './store.ts';

const batchRowsMax = 1_000;
const batchesMax = 1_000;

/** Removes reports past the retention, decided or not, in short transactions. Safe to run twice and on several workers at once. */
export async function compactReports(deps: { db: Db; ttlDays: number }): Promise<{ removed: number }> {
  let removed = 0;
  for (let batch = 0; batch < batchesMax; batch++) {
    const deleted = await deleteExpired(deps.db, { ttlDays: deps.ttlDays, rowsMax: batchRowsMax });
    removed += deleted;
    if (deleted === 0) break;
  }
  return { removed };
}
