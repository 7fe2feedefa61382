import type { Sql } from '#storage/connection/database.ts';

/**
 * Why a job does not run now. `done`: another worker has done or is past this turn. `busy`: another worker is at it, or died
 * so lately that it may still be. `paused`: an operator stopped it.
 */
export type LeaseRefusal = 'done' | 'busy' | 'paused';

/** The right to run a job, until somebody else takes it. */
export type LeaseResult = { readonly fence: number } | { readonly refused: LeaseRefusal };

export interface LeaseRequest {
  readonly job: string;
  /** The scheduled time, the same for every worker that is told to run this turn; absent: now, also when paused (an operator's run). */
  readonly runAt?: Date | undefined;
  /** A holder that has not been heard of for this long is taken for dead. */
  readonly leaseMs: number;
}

/**
 * Takes the turn of a job. The row's lock decides between workers, and rewriting `fence` ends the right of a former holder,
 * whose steps wait for this statement or were finished before it. Times are the database's.
 */
export async function acquireLease(sql: Sql, { job, runAt: scheduledAt, leaseMs }: LeaseRequest): Promise<LeaseResult> {
  const runAt = scheduledAt ?? null;
  await sql`INSERT INTO job_turns (job) VALUES (${job}) ON CONFLICT DO NOTHING`;
  const [taken] = await sql<{ fence: number }[]>`
    UPDATE job_turns
    SET fence = fence + 1, is_running = true, beat_at = clock_timestamp(),
        turn_at = coalesce(${runAt}::timestamptz, greatest(clock_timestamp(), turn_at))
    WHERE job = ${job}
      AND NOT (is_running AND beat_at > clock_timestamp() - ${leaseMs}::float8 * interval '1 millisecond')
      AND (${runAt}::timestamptz IS NULL
        OR (paused_at IS NULL AND (turn_at < ${runAt}::timestamptz OR (is_running AND turn_at = ${runAt}::timestamptz))))
    RETURNING fence`;
  if (taken !== undefined) return taken;
  const [row] = await sql<{ refused: LeaseRefusal }[]>`
    SELECT CASE WHEN ${runAt}::timestamptz IS NOT NULL AND paused_at IS NOT NULL THEN 'paused'
                WHEN turn_at > ${runAt}::timestamptz OR (turn_at = ${runAt}::timestamptz AND NOT is_running) THEN 'done'
                ELSE 'busy' END AS refused
    FROM job_turns WHERE job = ${job}`;
  return { refused: row?.refused ?? 'busy' };
}

/**
 * Gives a turn back. A run that failed leaves its turn to be taken again, and what of it still goes on may change nothing
 * more; a lost turn is not touched.
 */
export async function releaseLease(
  sql: Sql,
  { job, fence }: { job: string; fence: number },
  result: 'succeeded' | 'failed',
): Promise<void> {
  if (result === 'succeeded') {
    await sql`
      UPDATE job_turns SET is_running = false, succeeded_at = clock_timestamp() WHERE job = ${job} AND fence = ${fence}`;
  } else {
    await sql`UPDATE job_turns SET fence = fence + 1, beat_at = '-infinity' WHERE job = ${job} AND fence = ${fence}`;
  }
}

/** Stops the scheduled runs of a job until it is resumed; a run that is under way ends by itself. */
export async function pauseJob(sql: Sql, job: string): Promise<void> {
  await sql`
    INSERT INTO job_turns (job, paused_at) VALUES (${job}, clock_timestamp())
    ON CONFLICT (job) DO UPDATE SET paused_at = coalesce(job_turns.paused_at, excluded.paused_at)`;
}

/** Also forgets turns of a time to come, which a clock left behind that had jumped ahead. */
export async function resumeJob(sql: Sql, job: string): Promise<void> {
  await sql`
    UPDATE job_turns SET paused_at = NULL, turn_at = least(turn_at, now()), beat_at = least(beat_at, now()) WHERE job = ${job}`;
}

/** Makes sure that every job has its row, so that one that never succeeds is noticed too. */
export async function registerJobs(sql: Sql, names: readonly string[]): Promise<void> {
  await sql`INSERT INTO job_turns (job) SELECT unnest(${sql.array([...names])}::text[]) ON CONFLICT DO NOTHING`;
}

/** What is known of a job; one that no worker has heard of yet has no row. */
export interface JobState {
  readonly job: string;
  readonly registeredAt: Date;
  readonly isRunning: boolean;
  readonly succeededAt: Date | null;
  readonly pausedAt: Date | null;
}

export async function readJobStates(sql: Sql): Promise<JobState[]> {
  return sql<JobState[]>`
    SELECT job, registered_at AS "registeredAt", is_running AND beat_at > '-infinity' AS "isRunning", succeeded_at AS "succeededAt", paused_at AS "pausedAt" FROM job_turns ORDER BY job`;
}
