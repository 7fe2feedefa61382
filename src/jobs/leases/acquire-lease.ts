import type { Sql } from '#storage/connection/database.ts';

/**
 * Why a job is not run now. `done`: another worker has completed this run or a later one. `busy`: another worker is
 * running the job, or has died within the lease. `paused`: an operator paused the job.
 */
export type LeaseRefusal = 'done' | 'busy' | 'paused';

/** The fencing token of a lease, which is valid until another worker acquires the lease; or why there is none. */
export type LeaseResult = { readonly fence: number } | { readonly refused: LeaseRefusal };

export interface LeaseRequest {
  readonly job: string;
  /** The scheduled time, the same in every worker for one run. Absent: now, also when paused (a run by an operator). */
  readonly runAt?: Date | undefined;
  /** An owner without a heartbeat for this long counts as dead. */
  readonly leaseMs: number;
}

/**
 * Acquires the lease of a job. The row lock decides between workers, and changing `fence` invalidates the lease of the
 * previous owner, whose steps wait for this statement or were finished before it. Times are the database's.
 */
export async function acquireLease(sql: Sql, { job, runAt: scheduledAt, leaseMs }: LeaseRequest): Promise<LeaseResult> {
  const runAt = scheduledAt ?? null;
  await sql`INSERT INTO job_turns (job) VALUES (${job}) ON CONFLICT DO NOTHING`;
  const [acquired] = await sql<{ fence: number }[]>`
    UPDATE job_turns
    SET fence = fence + 1, is_running = true, beat_at = clock_timestamp(),
        turn_at = coalesce(${runAt}::timestamptz, greatest(clock_timestamp(), turn_at))
    WHERE job = ${job}
      AND NOT (is_running AND beat_at > clock_timestamp() - ${leaseMs}::float8 * interval '1 millisecond')
      AND (${runAt}::timestamptz IS NULL
        OR (paused_at IS NULL AND (turn_at < ${runAt}::timestamptz OR (is_running AND turn_at = ${runAt}::timestamptz))))
    RETURNING fence`;
  if (acquired !== undefined) return acquired;
  const [row] = await sql<{ refused: LeaseRefusal }[]>`
    SELECT CASE WHEN ${runAt}::timestamptz IS NOT NULL AND paused_at IS NOT NULL THEN 'paused'
                WHEN turn_at > ${runAt}::timestamptz OR (turn_at = ${runAt}::timestamptz AND NOT is_running) THEN 'done'
                ELSE 'busy' END AS refused
    FROM job_turns WHERE job = ${job}`;
  return { refused: row?.refused ?? 'busy' };
}

/**
 * Releases a lease. A failed run can be acquired again, and its remaining steps can change nothing; a lost lease is not
 * changed.
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

/** Stops the scheduled runs of a job until it is resumed; a running one ends by itself. */
export async function pauseJob(sql: Sql, job: string): Promise<void> {
  await sql`
    INSERT INTO job_turns (job, paused_at) VALUES (${job}, clock_timestamp())
    ON CONFLICT (job) DO UPDATE SET paused_at = coalesce(job_turns.paused_at, excluded.paused_at)`;
}

/** Resumes a job. Also resets run times in the future, which remain after the database's clock has jumped ahead. */
export async function resumeJob(sql: Sql, job: string): Promise<void> {
  await sql`
    UPDATE job_turns SET paused_at = NULL, turn_at = least(turn_at, now()), beat_at = least(beat_at, now()) WHERE job = ${job}`;
}

/** Ensures that every job has a row, so that a job that never succeeds is detected too. */
export async function registerJobs(sql: Sql, names: readonly string[]): Promise<void> {
  await sql`INSERT INTO job_turns (job) SELECT unnest(${sql.array([...names])}::text[]) ON CONFLICT DO NOTHING`;
}

/** The state of a job; a job that no worker has registered has no row. */
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
