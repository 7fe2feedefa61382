import { sql } from 'kysely';
import type { Clock } from '#platform/clock.ts';
import type { Database, Db, SqlTx, Tx } from '#storage/connection/database.ts';

/** Thrown when another worker has acquired the lease of this job. The present run must change nothing more. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
}

/**
 * Lets a run of a job change data only while its worker has the lease. Every change must use `step`, `inBatches` or
 * `confirm`, which first update the row that the next owner must update too, so that a transaction either commits
 * before the next owner starts or changes nothing.
 */
export interface JobLease {
  /** Runs `work` in one transaction, after checking the fencing token. @throws LeaseLostError */
  step<Result>(work: (tx: Tx) => Promise<Result>): Promise<Result>;
  /** Checks the fencing token. Must be the first statement of an open transaction. @throws LeaseLostError */
  confirm(tx: SqlTx): Promise<void>;
  /**
   * Calls `removeSome` in short transactions until it finds no row or the time of the run is over. `removeSome` removes
   * at most `rowsMax` rows and returns their number.
   * @returns the total number of removed rows.
   * @throws LeaseLostError
   */
  inBatches(removeSome: (tx: Tx, rowsMax: number) => Promise<number>): Promise<number>;
  /** False when the run should end and leave the remaining rows to the next run. */
  hasTime(): boolean;
}

/**
 * The maximum number of rows per transaction, which must be short because other workers see the heartbeat of the lease
 * only after the commit.
 */
const rowsPerBatch = 1_000;

export interface AcquiredLease {
  readonly job: string;
  readonly fence: number;
  /** Milliseconds after which the run should end. */
  readonly budgetMs: number;
}

/** Creates the `JobLease` of a run from its fencing token. */
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
