import { DelayedError } from 'bullmq';
import type { JobSchedulerTemplateOptions, Queue, Worker } from 'bullmq';
import type { Clock } from '#platform/clock.ts';
import { isJobName, jobNames, jobs, retiredJobs } from '../catalogue.ts';
import type { JobName } from '../catalogue.ts';
import { openPostgresBackend } from './postgres-queue.ts';
import type { QueueBackend } from './queue-backend.ts';
import { openRedisBackend } from './redis-queue.ts';
import { nextTimeMs } from '../scheduled-time.ts';

/** The job queue: every worker process opens it, and each scheduled run is given to one of them. */
export interface JobQueue {
  /**
   * Starts to process jobs once `resume` is called. When `run` returns `retryAtMs`, the same run is tried again at that
   * time. `run` must not reject with an error whose message contains data, because the queue stores the message.
   */
  work(run: (name: JobName) => Promise<{ readonly retryAtMs: number } | undefined>): Promise<void>;
  /** Takes no further jobs until `resume`; running jobs continue. */
  pause(): Promise<void>;
  resume(): void;
  /** Writes the schedules that are missing, or whose next run is not the next one after `nowMs`. */
  repairSchedules(nowMs: number): Promise<void>;
  /** Retries the failed runs of a job. @returns their number. */
  retryFailed(name: JobName): Promise<number>;
  /** BullMQ's own object, for the jobs page. */
  readonly queue: Queue;
  /** Takes no further job, waits for the running ones, and closes every connection. */
  close(): Promise<void>;
}

/** Where the queue is stored. */
export interface QueueLocation {
  readonly backend: 'postgres' | 'redis';
  /** `postgres://` of Postgres itself, not of PgBouncer; or `redis://`. */
  readonly url: string;
}

export interface JobQueueOptions {
  readonly location: QueueLocation;
  readonly clock: Clock;
  /** A worker without a heartbeat for this long loses its jobs to others. */
  readonly leaseMs: number;
  /** Default: the schedules of the catalogue. */
  readonly schedules?: JobSchedules;
  /** Called for connection errors; the queue reconnects by itself. */
  readonly onError: (error: unknown) => void;
}

/** Differs from the name in the first release, whose workers would complete jobs that they do not contain. */
const queueName = 'nightjar';
const retryDelayMs = 60_000;
const runsStored = 50;
/** A run that loses its worker is run again; this limit is reached only if workers are killed all the time. */
const stallsMax = 1_000;

/** Opens the queue. @throws ConfigError when Redis is configured to evict keys. */
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
          // A job of a newer release waits for a worker of that release.
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
    // `run` resolves when the worker is closed.
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

/** Cron patterns in UTC, optionally with seconds. */
export type JobSchedules = Readonly<Record<JobName, string>>;

export const catalogueSchedules = Object.fromEntries(
  jobNames.map((name) => [name, jobs[name].schedule]),
) as JobSchedules;

/** The tolerance of a next run: the clocks of two workers may differ. */
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
  // An unknown schedule may belong to a newer release that runs at the same time.
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
