import { DelayedError } from 'bullmq';
import type { JobSchedulerTemplateOptions, Queue, Worker } from 'bullmq';
import type { Clock } from '#platform/clock.ts';
import { isJobName, jobNames, jobs, retiredJobs } from '../catalogue.ts';
import type { JobName } from '../catalogue.ts';
import { openPostgresBackend } from './postgres-queue.ts';
import type { QueueBackend } from './queue-backend.ts';
import { openRedisBackend } from './redis-queue.ts';
import { nextTimeMs } from '../scheduled-time.ts';

/** Gives each scheduled run to one of the worker processes that have opened the queue. */
export interface JobQueue {
  /**
   * Registers `run`, which is called for each scheduled run after `resume`, and again at `retryAtMs` if it returns that
   * time. `run` must not reject with an error whose message contains data, because the queue stores the message.
   */
  work(run: (name: JobName) => Promise<{ readonly retryAtMs: number } | undefined>): Promise<void>;
  /** Stops taking jobs until `resume`. Running jobs continue. */
  pause(): Promise<void>;
  resume(): void;
  /**
   * Writes every schedule that is missing, has another pattern, or has its next run later than the pattern permits
   * after `nowMs`.
   */
  repairSchedules(nowMs: number): Promise<void>;
  /** Retries the failed runs of a job. @returns their number. */
  retryFailed(name: JobName): Promise<number>;
  /** BullMQ's queue, which the jobs page shows. */
  readonly queue: Queue;
  /** Stops taking jobs, waits for the running jobs, and closes every connection. */
  close(): Promise<void>;
}

/** The database that stores the queue. */
export interface QueueLocation {
  readonly backend: 'postgres' | 'redis';
  /** A `postgres://` URL, not of PgBouncer, or a `redis://` URL. */
  readonly url: string;
}

export interface JobQueueOptions {
  readonly location: QueueLocation;
  readonly clock: Clock;
  /** Milliseconds without a heartbeat after which a worker loses its jobs to other workers. */
  readonly leaseMs: number;
  /** Defaults to the schedules of the catalogue. */
  readonly schedules?: JobSchedules;
  /** Called with each connection error, after which the queue reconnects automatically. */
  readonly onError: (error: unknown) => void;
}

/**
 * This name differs from the name in the first release, whose workers would mark jobs that they do not have as
 * completed.
 */
const queueName = 'nightjar';
const retryDelayMs = 60_000;
const runsStored = 50;
/**
 * How many times a run may lose its worker and start again. Only workers that are killed repeatedly reach this limit.
 */
const stallsMax = 1_000;

/** Opens the queue in Postgres or Redis. @throws ConfigError when Redis is configured to evict keys. */
export async function openJobQueue(options: JobQueueOptions): Promise<JobQueue> {
  const { location, onError } = options;
  const open = location.backend === 'redis' ? openRedisBackend : openPostgresBackend;
  const backend = await open(location.url, onError);
  const queue = backend.openQueue(queueName);
  queue.on('error', onError);
  return serveQueue(backend, queue, options);
}

function serveQueue(backend: QueueBackend, queue: Queue, options: JobQueueOptions): JobQueue {
  const { clock, leaseMs } = options;
  let worker: Worker | undefined;
  return {
    queue,
    async work(run) {
      worker = backend.openWorker(
        queueName,
        async (job, token) => {
          // A job that only a newer release has is delayed until a worker of that release takes it.
          const retry = isJobName(job.name) ? await run(job.name) : { retryAtMs: clock.nowMs() + leaseMs };
          if (retry === undefined) return;
          await job.moveToDelayed(retry.retryAtMs, token);
          throw new DelayedError();
        },
        {
          autorun: false,
          concurrency: jobNames.length,
          lockDuration: leaseMs,
          stalledInterval: leaseMs,
          maxStalledCount: stallsMax,
        },
      );
      worker.on('error', options.onError);
      await worker.waitUntilReady();
    },
    pause: async () => worker?.pause(true),
    // The promise of `run` is not awaited, because it resolves only when the worker is closed.
    resume() {
      if (worker?.isRunning() === false) worker.run().catch(options.onError);
      else Promise.resolve(worker?.resume()).catch(options.onError);
    },
    repairSchedules: (nowMs) => repairSchedules(queue, options.schedules ?? catalogueSchedules, nowMs),
    async retryFailed(name) {
      const failed = (await queue.getFailed(0, runsStored)).filter((job) => job.name === name);
      for (const job of failed) await job.retry('failed');
      return failed.length;
    },
    async close() {
      await worker?.close();
      await queue.close();
      await backend.close();
    },
  };
}

/** The cron pattern of each job in UTC, optionally with seconds. */
export type JobSchedules = Readonly<Record<JobName, string>>;

export const catalogueSchedules = Object.fromEntries(
  jobNames.map((name) => [name, jobs[name].schedule]),
) as JobSchedules;

/** Milliseconds by which a next run may be late, because the clocks of two workers may differ. */
const toleranceMs = 60_000;

async function repairSchedules(queue: Queue, schedules: JobSchedules, nowMs: number): Promise<void> {
  const known = new Map((await queue.getJobSchedulers()).map((row) => [row.key, row]));
  for (const name of jobNames) {
    const pattern = schedules[name];
    const row = known.get(name);
    const latestMs = nextTimeMs(pattern, nowMs) + toleranceMs;
    if (row?.pattern === pattern && row.next !== undefined && row.next <= latestMs) continue;
    await queue.upsertJobScheduler(name, { pattern, tz: 'UTC' }, { name, data: {}, opts: optionsOf(name) });
  }
  // Only these schedules are removed, because an unknown schedule may belong to a newer release that runs at the same
  // time.
  for (const name of retiredJobs) await queue.removeJobScheduler(name);
}

function optionsOf(name: JobName): JobSchedulerTemplateOptions {
  return {
    attempts: jobs[name].retries + 1,
    backoff: { type: 'exponential', delay: retryDelayMs },
    stackTraceLimit: 0,
    removeOnComplete: { count: runsStored },
    removeOnFail: { count: runsStored },
  };
}
