import { DelayedError } from 'bullmq';
import type { JobSchedulerTemplateOptions, Queue, Worker } from 'bullmq';
import type { Clock } from '#platform/clock.ts';
import { isJobName, jobNames, jobs, retiredJobs } from '../catalogue.ts';
import type { JobName } from '../catalogue.ts';
import { openPostgresBackend } from './postgres-queue.ts';
import type { QueueBackend } from './queue-backend.ts';
import { openRedisBackend } from './redis-queue.ts';
import { nextTimeMs } from '../scheduled-time.ts';

/** The queue of jobs: every worker process opens it, and each scheduled run goes to one of them. */
export interface JobQueue {
  /**
   * Begins to take jobs once `resume` is called. What `run` answers asks for the same turn again at that time. It must not reject
   * with an error whose message holds data: the queue keeps it.
   */
  work(run: (name: JobName) => Promise<{ readonly againAtMs: number } | undefined>): Promise<void>;
  /** Takes no further job for a while; those that run go on. */
  rest(): Promise<void>;
  resume(): void;
  /** Writes down the schedules that are missing, or whose next run is not the next one after `nowMs`. */
  mendSchedules(nowMs: number): Promise<void>;
  /** Lets failed runs of a job start again. @returns how many. */
  retryFailed(name: JobName): Promise<number>;
  /** BullMQ's own object, for its page. */
  readonly queue: Queue;
  /** Takes no further job, waits for the running ones, and closes every connection. */
  close(): Promise<void>;
}

/** Where the queue is kept. */
export interface QueueLocation {
  readonly backend: 'postgres' | 'redis';
  /** `postgres://` of Postgres itself, not of PgBouncer; or `redis://`. */
  readonly url: string;
}

export interface JobQueueOptions {
  readonly place: QueueLocation;
  readonly clock: Clock;
  /** A worker that has not been heard of for this long loses its jobs to others. */
  readonly leaseMs: number;
  /** Absent: those of the catalogue. */
  readonly schedules?: JobSchedules;
  /** Called for every lost connection and the like; the queue recovers by itself. */
  readonly onError: (error: unknown) => void;
}

/** Not the name that the first release used: its workers would take jobs that they do not know for done. */
const queueName = 'nightjar';
const retryDelayMs = 60_000;
const runsRemembered = 50;
/** A run that loses its worker is run again; this often only if something kills workers all the time. */
const stallsMax = 1_000;

/** Opens the queue. @throws ConfigError when its Redis is not fit for it. */
export async function openJobQueue(options: JobQueueOptions): Promise<JobQueue> {
  const { place, onError } = options;
  const open = place.backend === 'redis' ? openRedisBackend : openPostgresBackend;
  const backend = await open(place.url, onError);
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
          const again = isJobName(job.name) ? await run(job.name) : { againAtMs: clock.nowMs() + leaseMs };
          if (again === undefined) return;
          await job.moveToDelayed(again.againAtMs, token);
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
    rest: async () => worker?.pause(true),
    // Runs until the worker is closed.
    resume() {
      if (worker?.isRunning() === false) worker.run().catch(options.onError);
      else Promise.resolve(worker?.resume()).catch(options.onError);
    },
    mendSchedules: (nowMs) => mendSchedules(queue, options.schedules ?? catalogueSchedules, nowMs),
    async retryFailed(name) {
      const failed = (await queue.getFailed(0, runsRemembered)).filter((job) => job.name === name);
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

/** Cron patterns in UTC, also with seconds. */
export type JobSchedules = Readonly<Record<JobName, string>>;

// Every key of the catalogue is a JobName.
export const catalogueSchedules = Object.fromEntries(
  jobNames.map((name) => [name, jobs[name].schedule]),
) as JobSchedules;

/** A next run may lie this far beside what its pattern says: the clocks of two workers differ. */
const toleranceMs = 60_000;

async function mendSchedules(queue: Queue, schedules: JobSchedules, nowMs: number): Promise<void> {
  const known = new Map((await queue.getJobSchedulers()).map((row) => [row.key, row]));
  for (const name of jobNames) {
    const pattern = schedules[name];
    const row = known.get(name);
    const latestMs = nextTimeMs(pattern, nowMs) + toleranceMs;
    if (row?.pattern === pattern && row.next !== undefined && row.next <= latestMs) continue;
    await queue.upsertJobScheduler(name, { pattern, tz: 'UTC' }, { name, data: {}, opts: optionsOf(name) });
  }
  // A scheduler that is merely unknown may be of a newer release that runs beside this one.
  for (const name of retiredJobs) await queue.removeJobScheduler(name);
}

function optionsOf(name: JobName): JobSchedulerTemplateOptions {
  return {
    attempts: jobs[name].retries + 1,
    backoff: { type: 'exponential', delay: retryDelayMs },
    stackTraceLimit: 0,
    removeOnComplete: { count: runsRemembered },
    removeOnFail: { count: runsRemembered },
  };
}
