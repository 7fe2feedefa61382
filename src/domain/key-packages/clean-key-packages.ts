import type { Db } from '#storage/database.ts';
import { deleteStale } from './store.ts';

const batchRowsMax = 1_000;
const batchesMax = 1_000;

/**
 * Removes expired packages, packages consumed over 24 hours ago, and the oldest above the kept number of a device, in
 * short transactions. Safe to run twice and on several workers at once: a row is deleted by whoever comes first.
 */
export async function cleanKeyPackages(deps: {
  db: Db;
  keyPackagesPerDeviceMax: number;
}): Promise<{ removed: number }> {
  let removed = 0;
  for (let batch = 0; batch < batchesMax; batch++) {
    const deleted = await deleteStale(deps.db, { perDeviceMax: deps.keyPackagesPerDeviceMax, rowsMax: batchRowsMax });
    removed += deleted;
    if (deleted === 0) break;
  }
  return { removed };
}
