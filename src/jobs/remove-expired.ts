import { removeExpiredRows } from '#storage/expiry/expiring-rows.ts';
import type { ExpiringRows } from '#storage/expiry/expiring-rows.ts';
import type { JobLease } from './leases/lease.ts';

/** Removes the expired rows of each kind in short transactions. @throws LeaseLostError */
export async function removeExpired(lease: JobLease, kinds: readonly ExpiringRows[]): Promise<{ removed: number }> {
  let removed = 0;
  for (const kind of kinds) removed += await lease.inBatches((tx, rowsMax) => removeExpiredRows(tx, kind, rowsMax));
  return { removed };
}
