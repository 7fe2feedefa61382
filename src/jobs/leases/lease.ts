import { sql } from 'kysely';
import type { Clock } from '#platform/clock.ts';
import type { Database, Db, SqlTx, Tx } from '#storage/connection/database.ts';

/** Another worker has the lease of this job; this one was paused past its lease and must change nothing more. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
}

/**
 * One run of one job. Every change uses `step`, `inBatches` or a transaction in which `confirm` was called. Each first
 * updates the row that a later owner of the lease must update as well (UPDATE job_turns … WHERE fence = ours), so a
 * step is either finished before the next owner starts, or changes nothing.
 */
export interface JobLease {
  /** Runs `work` in one transaction, after the fencing check. @throws LeaseLostError */
  step<Result>(work: (tx: Tx) => Promise<Result>): Promise<Result>;
  /** The fencing check, as the first statement of an open transaction. @throws LeaseLostError */
  confirm(tx: SqlTx): Promise<void>;
  /**
   * Calls `removeSome` (which removes at most `rowsMax` rows and returns their number) in one short transaction after
   * another, until no row is left or the time of the run is over; the next run continues.
   * @returns the total number of removed rows.
   * @throws LeaseLostError
   */
  inBatches(removeSome: (tx: Tx, rowsMax: number) => Promise<number>): Promise<number>;
  /** False when the run should end and leave the rest to the next run. */
  hasTime(): boolean;
}

/** Limits the duration of a transaction, because an old transaction id delays the delivery of events. */
const rowsPerBatch = 1_000;

export interface AcquiredLease {
  readonly job: string;
  readonly fence: number;
  /** The time budget of the run. */
  readonly budgetMs: number;
}

/** Opens the lease that `acquireLease` returned. */
export function openLease(
  deps: { readonly database: Database; readonly clock: Clock },
  acquired: AcquiredLease,
): JobLease {
  const { database, clock } = deps;
  const endsAtMs = clock.monotonicMs() + acquired.budgetMs;
  const lease: JobLease = {
    step: (work) =>
      database.db.transaction().execute(async (tx) => {
        await confirmKysely(tx, acquired);
        return work(tx);
      }),
    async confirm(tx) {
      const rows = await tx`
        UPDATE job_turns SET beat_at = clock_timestamp() WHERE job = ${acquired.job} AND fence = ${acquired.fence} RETURNING 1`;
      if (rows.length === 0) throw new LeaseLostError('another worker has the lease of this job');
    },
    async inBatches(removeSome) {
      let removed = 0;
      while (lease.hasTime()) {
        const count = await lease.step((tx) => removeSome(tx, rowsPerBatch));
        if (count === 0) break;
        removed += count;
      }
      return removed;
    },
    hasTime: () => clock.monotonicMs() < endsAtMs,
  };
  return lease;
}

async function confirmKysely(tx: Db, acquired: AcquiredLease): Promise<void> {
  const { numAffectedRows } = await sql`
    UPDATE job_turns SET beat_at = clock_timestamp() WHERE job = ${acquired.job} AND fence = ${acquired.fence}`.execute(
    tx,
  );
  if (numAffectedRows !== 1n) throw new LeaseLostError('another worker has the lease of this job');
}
