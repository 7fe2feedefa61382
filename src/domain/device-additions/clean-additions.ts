import { endWaiting } from '#domain/devices/waiting-devices.ts';
import type { Db } from '#storage/database.ts';
import { deleteExpiredClaims } from './store.ts';

const batchRowsMax = 1_000;
const batchesMax = 1_000;

/**
 * Removes claims past their day, and the lists of devices that have waited long enough, in short transactions. Safe to run twice
 * and on several workers at once.
 */
export async function cleanAdditions(deps: { db: Db }): Promise<{ removed: number }> {
  let removed = await endWaiting(deps);
  for (let batch = 0; batch < batchesMax; batch++) {
    const deleted = await deleteExpiredClaims(deps.db, batchRowsMax);
    removed += deleted;
    if (deleted === 0) break;
  }
  return { removed };
}
