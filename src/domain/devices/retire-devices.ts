import { withdrawOfDevices } from '#domain/key-packages/withdraw-key-packages.ts';
import type { JobLease } from '#jobs/leases/lease.ts';
import { deleteFlagged, flagUnseen } from './store.ts';

/** Each device may have hundreds of key packages: the small number keeps a batch as short as those of other jobs. */
const devicesPerStep = 10;

/**
 * Flags devices without activity for `inactiveDays`, and deletes those that were flagged `removalDays` ago: the row
 * with push token and waiting list, and the available key packages. Packages that were handed out stay until they
 * expire. Activity clears the flag; the flag's only other effect is that the owner gets no low key package events for
 * the device.
 * Can run twice and on several workers at once.
 */
export async function retireDevices(deps: {
  readonly lease: JobLease;
  readonly inactiveDays: number;
  readonly removalDays: number;
}): Promise<{ flagged: number; removed: number }> {
  const { lease, inactiveDays, removalDays } = deps;
  const flagged = await lease.inBatches((tx, rowsMax) => flagUnseen(tx, inactiveDays, rowsMax));
  const removed = await lease.inBatches(async (tx, rowsMax) => {
    const tags = await deleteFlagged(tx, removalDays, Math.min(rowsMax, devicesPerStep));
    return tags.length + (await withdrawOfDevices({ db: tx }, tags));
  });
  return { flagged, removed };
}
