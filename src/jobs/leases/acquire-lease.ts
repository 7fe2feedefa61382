import type { Sql } from '#storage/connection/database.ts';

/**
 * The reason for refusing a lease. `done` means that this run or a later one is complete, `busy` that another worker
 * has the lease, and `paused` that an operator has paused the job.
 */
export type LeaseRefusal = 'done' | 'busy' | 'paused';

/** The fencing token of a lease, valid until another worker acquires the lease, or the reason for a refusal. */
export type LeaseResult = { readonly fence: number } | { readonly refused: LeaseRefusal };

export interface LeaseRequest {
  readonly job: string;
  /**
   * The scheduled time of the run, the same in every worker. Without a time, an operator starts the run now, even if
   * the job is paused.
   */
  readonly runAt?: Date | undefined;
  /** Milliseconds without a heartbeat after which another worker may acquire the lease. */
  readonly leaseMs: number;
}

/**
 * Acquires the lease of a job by the database's clock, or returns the reason for a refusal. The increment of `fence`
 * ends the previous lease, so each step of the previous owner either committed earlier or changes nothing.
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
 * Releases a lease, and does nothing if another worker has it. A failed run loses its fencing token, so its remaining
 * steps change nothing and the run can start again.
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

/** Stops the scheduled runs of a job until it is resumed. A run in progress continues. */
export async function pauseJob(sql: Sql, job: string): Promise<void> {
  await sql`
    INSERT INTO job_turns (job, paused_at) VALUES (${job}, clock_timestamp())
    ON CONFLICT (job) DO UPDATE SET paused_at = coalesce(job_turns.paused_at, excluded.paused_at)`;
}

/** Resumes a job, and resets times that are in the future because the database's clock was wrong. */
export async function resumeJob(sql: Sql, job: string): Promise<void> {
  await sql`
    UPDATE job_turns SET paused_at = NULL, turn_at = least(turn_at, now()), beat_at = least(beat_at, now()) WHERE job = ${job}`;
}

/** Inserts a row for every job, so that monitoring also detects a job that has never succeeded. */
export async function registerJobs(sql: Sql, names: readonly string[]): Promise<void> {
  await sql`INSERT INTO job_turns (job) SELECT unnest(${sql.array([...names])}::text[]) ON CONFLICT DO NOTHING`;
}

/** The last success of a job, and whether it is running or paused. Only registered jobs have a state. */
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
