import { jobNames, jobs } from '#jobs/catalogue.ts';
import type { JobName } from '#jobs/catalogue.ts';
import type { JobQueue } from '#jobs/queue.ts';
import type { Clock } from '#platform/clock.ts';
import type { Config } from '#platform/config.ts';
import { InvariantError } from '#platform/errors.ts';
import { describeError } from '#platform/logger.ts';
import type { Logger } from '#platform/logger.ts';
import type { Metrics } from '#platform/metrics.ts';
import type { Database } from '#storage/database.ts';

/** What a job may use. */
export interface JobDeps {
  readonly database: Database;
  readonly config: Config;
  readonly clock: Clock;
}

/** One job: safe to run twice, and at the same time on several workers. */
export type JobRun = (deps: JobDeps) => Promise<{ removed: number }>;

export type JobRuns = Readonly<Record<JobName, JobRun>>;

/** What a run is told to. */
export interface JobReports {
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'jobFinished' | 'jobLastSucceeded'>;
}

/** The job did not end within the time that the catalogue gives it. */
export class JobTimeoutError extends Error {
  override readonly name = 'JobTimeoutError';
}

/** A job failed; what happened is in the log as `job_failed`, since an error's text may hold data. */
export class JobFailedError extends Error {
  override readonly name = 'JobFailedError';
}

/**
 * Takes scheduled jobs from `queue` until it is closed.
 * @throws InvariantError when a job of the catalogue has no run, or a run is of no job.
 */
export async function startWorker(queue: JobQueue, runs: JobRuns, deps: JobDeps & JobReports): Promise<void> {
  const strangers = Object.keys(runs).filter((name) => !Object.hasOwn(jobs, name));
  const missing = jobNames.filter((name) => !Object.hasOwn(runs, name));
  if (strangers.length + missing.length > 0) throw new InvariantError('the catalogue of jobs and the workers differ');
  for (const [name, atMs] of await queue.lastSuccesses()) deps.metrics.jobLastSucceeded(name, atMs);
  await queue.work(async (name) => {
    await runJob(name, runs[name], deps);
  });
}

/**
 * Runs one job now, within its time, and reports how it went.
 * @throws JobFailedError
 */
export async function runJob(name: JobName, run: JobRun, deps: JobDeps & JobReports): Promise<{ removed: number }> {
  const { clock, logger, metrics } = deps;
  const startedMs = clock.monotonicMs();
  try {
    const { removed } = await withinMs(jobs[name].timeoutMs, clock, run(deps));
    const durationMs = clock.monotonicMs() - startedMs;
    logger.log('job_finished', { job: name, durationMs, removed });
    metrics.jobFinished(name, 'succeeded', durationMs);
    metrics.jobLastSucceeded(name, clock.nowMs());
    return { removed };
  } catch (error) {
    logger.log('job_failed', { job: name, ...describeError(error) });
    metrics.jobFinished(name, 'failed', clock.monotonicMs() - startedMs);
    throw new JobFailedError('The job failed; the log says why.');
  }
}

/** @throws JobTimeoutError when `task` takes longer; it then goes on unheeded, bounded by the timeouts of its statements. */
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
