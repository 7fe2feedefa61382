import { readRetentionAges } from '#domain/retention/read-retention-ages.ts';
import { jobNames, jobs } from '#jobs/catalogue.ts';
import type { JobName } from '#jobs/catalogue.ts';
import { createDatabaseWatch } from '#jobs/database-state.ts';
import type { DatabaseState } from '#jobs/database-state.ts';
import { catalogueSchedules } from '#jobs/queue/queue.ts';
import type { JobQueue, JobSchedules } from '#jobs/queue/queue.ts';
import { intervalMs, scheduledTime } from '#jobs/scheduled-time.ts';
import { releaseLease, readJobStates, registerJobs, acquireLease } from '#jobs/leases/acquire-lease.ts';
import { startQueueMaintenance } from '#jobs/queue/maintain-queue.ts';
import { openLease, LeaseLostError } from '#jobs/leases/lease.ts';
import type { JobLease } from '#jobs/leases/lease.ts';
import type { Clock } from '#platform/clock.ts';
import type { Config } from '#platform/config/config.ts';
import { InvariantError } from '#platform/errors.ts';
import { describeError } from '#platform/logging/logger.ts';
import type { Logger } from '#platform/logging/logger.ts';
import type { Metrics } from '#platform/metrics/metrics.ts';
import type { Database } from '#storage/connection/database.ts';

export interface WorkerDeps {
  readonly database: Database;
  readonly config: Config;
  readonly clock: Clock;
}

/** The parameters of one run of a job, which must change data only through its lease. */
export interface JobDeps extends WorkerDeps {
  readonly lease: JobLease;
}

/** The number of rows that a run removed, and the freed disk space in bytes if it is known. */
export interface JobResult {
  readonly removed: number;
  readonly removedSizeBytes?: number;
}

/** Runs one job. Must be safe to run twice, and on several workers at once. */
export type JobRun = (deps: JobDeps) => Promise<JobResult>;

export type JobRuns = Readonly<Record<JobName, JobRun>>;

/** Receives the log entries and the metrics of each run. */
export interface JobReports {
  readonly logger: Logger;
  readonly metrics: Pick<
    Metrics,
    'jobStarted' | 'jobFinished' | 'jobInterval' | 'jobLastSucceeded' | 'jobRemoved' | 'retentionAge'
  >;
}

/** Thrown when a run has not ended within its `timeoutMs` in the catalogue. */
export class JobTimeoutError extends Error {
  override readonly name = 'JobTimeoutError';
}

/**
 * Thrown when a job failed. Only the log states the reason (`job_failed`), because the queue stores the messages of
 * errors and a reason may contain data.
 */
export class JobFailedError extends Error {
  override readonly name = 'JobFailedError';
}

/** Thrown when a job cannot run now although nothing has failed. */
export class JobNotRunError extends Error {
  override readonly name = 'JobNotRunError';
  readonly reason: 'busy' | 'paused' | 'standby' | 'clock' | 'done' | 'lost';

  constructor(reason: JobNotRunError['reason']) {
    super(`The job was not run: ${reason}.`);
    this.reason = reason;
  }
}

/** The share of `timeoutMs` after which a run should end and leave the remaining rows to the next run. */
const budgetShare = 0.8;

/** Reasons for which the queue tries the run again after JOB_LEASE_MS. */
const temporaryReasons: ReadonlySet<string> = new Set(['busy', 'standby', 'clock']);

export interface StartOptions {
  readonly runs: JobRuns;
  readonly schedules?: JobSchedules;
  readonly onError: (error: unknown) => void;
}

/**
 * Processes the scheduled jobs of `queue`. The returned `stop` must be called before the queue is closed.
 * @throws InvariantError when a job of the catalogue has no implementation, or an implementation has no job.
 */
export async function startWorker(
  queue: JobQueue,
  { runs, schedules, onError }: StartOptions,
  deps: WorkerDeps & JobReports,
): Promise<{ stop(): Promise<void> }> {
  const unknown = Object.keys(runs).filter((name) => !Object.hasOwn(jobs, name));
  const missing = jobNames.filter((name) => !Object.hasOwn(runs, name));
  if (unknown.length + missing.length > 0) throw new InvariantError('the catalogue of jobs and the workers differ');
  const patterns = schedules ?? catalogueSchedules;
  for (const name of jobNames) deps.metrics.jobInterval(name, intervalMs(patterns[name], deps.clock.nowMs()));
  await registerJobs(deps.database.sql, jobNames).catch(onError);
  await observeJobs(deps);
  const observeRetention = retentionObserver(deps);
  const observe = async (): Promise<void> => {
    await observeJobs(deps);
    await observeRetention();
  };
  const readState = createDatabaseWatch({ sql: deps.database.sql, clock: deps.clock });
  await queue.work(async (name) => {
    const state = await readState();
    try {
      assertReady(state);
      const runAt = scheduledTime(patterns[name], state.nowMs);
      await runJob(name, { run: runs[name], runAt }, deps);
    } catch (error) {
      if (!(error instanceof JobNotRunError)) throw error;
      deps.logger.log('job_not_run', { job: name, reason: error.reason });
      deps.metrics.jobFinished(name, 'not_run', 0);
      if (temporaryReasons.has(error.reason)) return { retryAtMs: state.nowMs + deps.config.JOB_LEASE_MS };
    }
    return undefined;
  });
  return startQueueMaintenance({
    queue,
    readState,
    clock: deps.clock,
    intervalMs: deps.config.JOB_LEASE_MS,
    observe,
    onError,
  });
}

async function observeJobs({ database, metrics }: WorkerDeps & JobReports): Promise<void> {
  for (const { job, succeededAt, registeredAt } of await readJobStates(database.sql)) {
    metrics.jobLastSucceeded(job, (succeededAt ?? registeredAt).getTime());
  }
}

const retentionIntervalMs = 60_000;

/** Returns a function that reads the age of the oldest row of every retention class, at most once a minute. */
function retentionObserver({ database, clock, config, metrics }: WorkerDeps & JobReports): () => Promise<void> {
  let nextAtMs = -Infinity;
  return async () => {
    if (clock.monotonicMs() < nextAtMs) return;
    nextAtMs = clock.monotonicMs() + retentionIntervalMs;
    for (const age of await readRetentionAges(database, config)) metrics.retentionAge(age);
  };
}

/** Runs one job now, at an operator's request. @throws JobFailedError, JobNotRunError */
export async function runJobByHand(name: JobName, run: JobRun, deps: WorkerDeps & JobReports): Promise<JobResult> {
  assertReady(await createDatabaseWatch({ sql: deps.database.sql, clock: deps.clock })());
  return runJob(name, { run, runAt: undefined }, deps);
}

/** @throws JobNotRunError when the database is a standby or its clock is wrong. */
function assertReady(state: DatabaseState): void {
  if ('unfit' in state) throw new JobNotRunError(state.unfit);
}

/**
 * Runs a job within its `timeoutMs` if its lease is free, and reports the result.
 * @throws JobFailedError, JobNotRunError
 */
async function runJob(
  name: JobName,
  what: { run: JobRun; runAt: Date | undefined },
  deps: WorkerDeps & JobReports,
): Promise<JobResult> {
  const { database, clock, config, logger, metrics } = deps;
  const { timeoutMs } = jobs[name];
  const leaseResult = await acquireLease(database.sql, { job: name, runAt: what.runAt, leaseMs: config.JOB_LEASE_MS });
  if ('refused' in leaseResult) throw new JobNotRunError(leaseResult.refused);
  const acquired = { job: name, fence: leaseResult.fence, budgetMs: timeoutMs * budgetShare };
  const startedMs = clock.monotonicMs();
  if (what.runAt !== undefined) metrics.jobStarted(name, clock.nowMs() - what.runAt.getTime());
  try {
    const lease = openLease({ database, clock }, acquired);
    const result = await withinMs(timeoutMs, clock, what.run({ database, config, clock, lease }));
    await releaseLease(database.sql, acquired, 'succeeded');
    const durationMs = clock.monotonicMs() - startedMs;
    const { removed, removedSizeBytes = 0 } = result;
    logger.log('job_finished', { job: name, durationMs, removed, removedSizeBytes });
    metrics.jobFinished(name, 'succeeded', durationMs);
    metrics.jobRemoved(name, { rows: removed, sizeBytes: removedSizeBytes });
    metrics.jobLastSucceeded(name, clock.nowMs());
    return result;
  } catch (error) {
    if (error instanceof LeaseLostError) throw new JobNotRunError('lost');
    logger.log('job_failed', { job: name, ...describeError(error) });
    metrics.jobFinished(name, 'failed', clock.monotonicMs() - startedMs);
    await releaseLease(database.sql, acquired, 'failed').catch(() => undefined);
    throw new JobFailedError('The job failed; the log says why.');
  }
}

/**
 * Waits for `task`, but no longer than `timeoutMs`.
 * @throws JobTimeoutError after `timeoutMs`. The caller then releases the lease, so that later steps of `task` change
 * nothing.
 */
async function withinMs<T>(timeoutMs: number, clock: Clock, task: Promise<T>): Promise<T> {
  const ended = new AbortController();
  const overdue = clock.sleep(timeoutMs, ended.signal).then(() => {
    if (!ended.signal.aborted) throw new JobTimeoutError('the job took too long');
    return undefined as never;
  });
  try {
    return await Promise.race([task, overdue]);
  } finally {
    ended.abort();
  }
}
