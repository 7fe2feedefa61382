import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobLease } from '#jobs/leases/lease.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { deleteExpired, deleteSurplus, selectExpired, selectSurplus } from './past-packages.ts';
import { consumedKeyPackages } from './retention.ts';

export interface CleanKeyPackagesDeps {
  readonly db: Db;
  readonly turn: JobLease;
  /** One-time packages; last-resort ones are not counted. */
  readonly keyPackagesPerDeviceMax: number;
  readonly consumedTtlHours: number;
}

/**
 * Removes packages past their time, those consumed a while ago, and the oldest above the kept number of a device; never the last
 * usable or last-resort package of a living device. Safe to run twice and on several workers at once: a row is deleted by whoever
 * comes first, and judged again then.
 */
export async function cleanKeyPackages(deps: CleanKeyPackagesDeps): Promise<{ removed: number }> {
  const { db, turn, keyPackagesPerDeviceMax, consumedTtlHours } = deps;
  const consumed = await removeExpired(turn, [consumedKeyPackages(consumedTtlHours)]);
  const expired = await removeFound(turn, await selectExpired(db), deleteExpired);
  const surplus = await removeFound(turn, await selectSurplus(db, keyPackagesPerDeviceMax), deleteSurplus);
  return { removed: consumed.removed + expired + surplus };
}

/** Goes on past a batch of which nothing could be removed. */
async function removeFound(
  turn: JobLease,
  refs: Buffer[],
  removeThese: (tx: Tx, refs: readonly Buffer[]) => Promise<number>,
): Promise<number> {
  let removed = 0;
  await turn.inBatches(async (tx, rowsMax) => {
    const batch = refs.splice(0, rowsMax);
    removed += await removeThese(tx, batch);
    return batch.length;
  });
  return removed;
}
