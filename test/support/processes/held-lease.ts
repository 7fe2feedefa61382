import { acquireLease } from '#jobs/leases/acquire-lease.ts';
import { openLease } from '#jobs/leases/lease.ts';
import type { JobLease } from '#jobs/leases/lease.ts';
import { systemClock } from '#platform/clock.ts';
import type { Database } from '#storage/connection/database.ts';

/** Acquires a lease as a worker does, without a schedule. */
export async function holdLease(database: Database): Promise<JobLease> {
  const taken = await acquireLease(database.sql, { job: 'test', leaseMs: 0 });
  if ('refused' in taken) throw new Error(taken.refused);
  return openLease({ database, clock: systemClock }, { job: 'test', fence: taken.fence, budgetMs: 60_000 });
}
