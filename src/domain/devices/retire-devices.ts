import { withdrawOfDevices } from '#domain/key-packages/available-key-packages.ts';
import type { JobLease } from '#jobs/leases/lease.ts';
import { deleteFlagged, flagUnseen } from './store.ts';

/** Each may have hundreds of key packages: so few that a step stays as short as those of other jobs. */
const devicesPerStep = 10;

/**
 * Flags devices that were not seen for `inactiveDays`, and removes those that were flagged `removalDays` ago: the row with push
 * token and waiting list, and the key packages that they have left to give. Packages on their way to a Welcome stay until they
 * expire. A flag ends when the device is seen; until then its owner is not told of its low stock, and nothing else changes.
 * Safe to run twice and on several workers at once.
 */
export async function retireDevices(deps: {
  readonly turn: JobLease;
  readonly inactiveDays: number;
  readonly removalDays: number;
}): Promise<{ flagged: number; removed: number }> {
  const { turn, inactiveDays, removalDays } = deps;
  const flagged = await turn.inBatches((tx, rowsMax) => flagUnseen(tx, inactiveDays, rowsMax));
  const removed = await turn.inBatches(async (tx, rowsMax) => {
    const tags = await deleteFlagged(tx, removalDays, Math.min(rowsMax, devicesPerStep));
    return tags.length + (await withdrawOfDevices({ db: tx }, tags));
  });
  return { flagged, removed };
}
