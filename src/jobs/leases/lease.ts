import { sql } from 'kysely';
import type { Clock } from '#platform/clock.ts';
import type { Database, Db, SqlTx, Tx } from '#storage/connection/database.ts';

/** Another worker does this job now: this one slept through its turn and must not touch anything any more. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
}

/**
 * One run of one job. Whatever it changes goes through `step`, `inBatches` or a transaction that `confirm` was called in:
 * each first rewrites the row that a later holder of the job must rewrite as well (UPDATE job_turns … WHERE fence = ours),
 * so a step either is finished before the next holder starts, or changes nothing.
 */
export interface JobLease {
  /** Runs `work` in one transaction, after the check. @throws LeaseLostError */
  step<Result>(work: (tx: Tx) => Promise<Result>): Promise<Result>;
  /** The check, as the first statement of an open transaction. @throws LeaseLostError */
  confirm(tx: SqlTx): Promise<void>;
  /**
   * Calls `removeSome` (which removes at most `rowsMax` rows and says how many) in a short transaction each time, until nothing
   * is left or the time of the run is over; the next turn goes on from there.
   * @returns how many rows were removed.
   * @throws LeaseLostError
   */
  inBatches(removeSome: (tx: Tx, rowsMax: number) => Promise<number>): Promise<number>;
  /** False when the run should end and leave the rest to the next turn. */
  hasTime(): boolean;
}

/** Short enough to hold no transaction id for long: an old one delays the delivery of events. */
const rowsPerBatch = 1_000;

export interface HeldLease {
  readonly job: string;
  readonly fence: number;
  /** How long the run may take. */
  readonly budgetMs: number;
}

/** The turn that `acquireLease` gave. */
export function openLease(deps: { readonly database: Database; readonly clock: Clock }, held: HeldLease): JobLease {
  const { database, clock } = deps;
  const endsAtMs = clock.monotonicMs() + held.budgetMs;
  const turn: JobLease = {
    step: (work) =>
      database.db.transaction().execute(async (tx) => {
        await confirmKysely(tx, held);
        return work(tx);
      }),
    async confirm(tx) {
      const rows = await tx`
        UPDATE job_turns SET beat_at = clock_timestamp() WHERE job = ${held.job} AND fence = ${held.fence} RETURNING 1`;
      if (rows.length === 0) throw new LeaseLostError('another worker has this job');
    },
    async inBatches(removeSome) {
      let removed = 0;
      while (turn.hasTime()) {
        const count = await turn.step((tx) => removeSome(tx, rowsPerBatch));
        if (count === 0) break;
        removed += count;
      }
      return removed;
    },
    hasTime: () => clock.monotonicMs() < endsAtMs,
  };
  return turn;
}

async function confirmKysely(tx: Db, held: HeldLease): Promise<void> {
  const { numAffectedRows } = await sql`
    UPDATE job_turns SET beat_at = clock_timestamp() WHERE job = ${held.job} AND fence = ${held.fence}`.execute(tx);
  if (numAffectedRows !== 1n) throw new LeaseLostError('another worker has this job');
}
