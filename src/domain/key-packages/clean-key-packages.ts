import { removeExpired } from '#jobs/remove-expired.ts';
import type { JobTurn } from '#jobs/turn.ts';
import type { Db } from '#storage/database.ts';
import { consumedKeyPackages, expiredKeyPackages } from './retention.ts';
import { deleteSurplus, selectSurplus } from './store.ts';

export interface CleanKeyPackagesDeps {
  readonly db: Db;
  readonly turn: JobTurn;
  /** One-time packages; last-resort ones are not counted. */
  readonly keyPackagesPerDeviceMax: number;
  readonly consumedTtlHours: number;
}

/**
 * Removes expired packages, those consumed a while ago, and the oldest above the kept number of a device. Safe to run twice and
 * on several workers at once: a row is deleted by whoever comes first.
 */
export async function cleanKeyPackages(deps: CleanKeyPackagesDeps): Promise<{ removed: number }> {
  const { db, turn, keyPackagesPerDeviceMax, consumedTtlHours } = deps;
  const past = await removeExpired(turn, [expiredKeyPackages, consumedKeyPackages(consumedTtlHours)]);
  // Looked for outside of a step: a transaction that has written holds back events for as long as it reads.
  const surplus = await selectSurplus(db, keyPackagesPerDeviceMax);
  const removed = await turn.inBatches((tx, rowsMax) => deleteSurplus(tx, surplus.splice(0, rowsMax)));
  return { removed: past.removed + removed };
}
