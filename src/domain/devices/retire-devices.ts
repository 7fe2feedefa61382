import { withdrawOfDevices } from '#domain/key-packages/withdraw-key-packages.ts';
import type { JobLease } from '#jobs/leases/lease.ts';
import { deleteFlagged, flagUnseen } from './store.ts';

/**
 * Maximum number of devices that one batch deletes. It is small because the batch also deletes the key packages of each
 * device, which may be hundreds.
 */
const devicesPerStep = 10;

/**
 * Flags devices without activity for `inactiveDays`, and deletes devices that were flagged `removalDays` ago together
 * with their available key packages. The job may run twice and on several workers at once.
 */
export async function retireDevices(deps: {
  readonly lease: JobLease;
  readonly inactiveDays: number;
  readonly removalDays: number;
}): Promise<{ flagged: number; removed: number }> {
  const { lease, inactiveDays, removalDays } = deps;
  // Activity clears the flag. A flagged device works as before, but its owner gets no low key package events for it.
  const flagged = await lease.inBatches((tx, rowsMax) => flagUnseen(tx, inactiveDays, rowsMax));
  const removed = await lease.inBatches(async (tx, rowsMax) => {
    const tags = await deleteFlagged(tx, removalDays, Math.min(rowsMax, devicesPerStep));
    return tags.length + (await withdrawOfDevices({ db: tx }, tags));
  });
  return { flagged, removed };
}
