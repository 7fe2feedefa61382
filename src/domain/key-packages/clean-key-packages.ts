import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobLease } from '#jobs/leases/lease.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { deleteExpired, deleteSurplus, selectExpired, selectSurplus } from './expired-and-surplus-store.ts';
import { consumedKeyPackages } from './retention.ts';

export interface CleanKeyPackagesDeps {
  readonly db: Db;
  readonly lease: JobLease;
  /** Maximum number of one-time packages that a device keeps. Last-resort packages are not counted. */
  readonly keyPackagesPerDeviceMax: number;
  readonly consumedTtlHours: number;
}

/**
 * Deletes expired packages, packages consumed more than `consumedTtlHours` ago, and the oldest packages of a device
 * above `keyPackagesPerDeviceMax`. The job may run twice and on several workers at once, because each DELETE checks its
 * condition again.
 */
export async function cleanKeyPackages(deps: CleanKeyPackagesDeps): Promise<{ removed: number }> {
  const { db, lease, keyPackagesPerDeviceMax, consumedTtlHours } = deps;
  const consumed = await removeExpired(lease, [consumedKeyPackages(consumedTtlHours)]);
  const expired = await removeFound(lease, await selectExpired(db), deleteExpired);
  const surplus = await removeFound(lease, await selectSurplus(db, keyPackagesPerDeviceMax), deleteSurplus);
  return { removed: consumed.removed + expired + surplus };
}

/** Deletes the packages in `refs` in batches. @returns how many packages were deleted. */
async function removeFound(
  lease: JobLease,
  refs: Buffer[],
  removeThese: (tx: Tx, refs: readonly Buffer[]) => Promise<number>,
): Promise<number> {
  let removed = 0;
  await lease.inBatches(async (tx, rowsMax) => {
    const batch = refs.splice(0, rowsMax);
    removed += await removeThese(tx, batch);
    // The size of the batch is returned, not the number of deleted rows, because a batch of locked rows must not end
    // the run.
    return batch.length;
  });
  return removed;
}
