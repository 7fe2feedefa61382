import { createPostgresBackend, DelayedError, runMigrations, withBackend } from 'bullmq';
import type { PgPool } from 'bullmq';
import { Pool } from 'pg';
import type { Clock } from '#platform/clock.ts';
import { isJobName, jobNames, jobs } from './catalogue.ts';
import type { JobName } from './catalogue.ts';

/** The queue of jobs: every worker process opens it, and each scheduled run goes to one of them. */
export interface JobQueue {
  /**
   * Begins to take jobs. What `run` answers asks for the same turn again after that time. It must not reject with an error whose
   * message holds data: the queue keeps it.
   */
  work(run: (name: JobName) => Promise<{ readonly againInMs: number } | undefined>): Promise<void>;
  /** Takes no further job, waits for the running ones, and closes every connection. */
  close(): Promise<void>;
}

export interface JobQueueOptions {
  /** A `postgres://` URL that leads to Postgres itself: LISTEN does not work through PgBouncer. */
  readonly url: string;
  readonly clock: Clock;
  /** Cron patterns in UTC, also with seconds; absent: those of the catalogue. */
  readonly schedules?: Readonly<Record<JobName, string>>;
  /** Called for every lost connection and the like; the queue recovers by itself. */
  readonly onError: (error: unknown) => void;
}

const { Queue, Worker } = withBackend(createPostgresBackend);
type Queue = InstanceType<typeof Queue>;
type Worker = InstanceType<typeof Worker>;

const queueName = 'nightjar-jobs';
const schema = 'bullmq';
/** One of them listens; two let a job be fetched and another be finished at the same time. */
const connectionsMax = 3;
const retryDelayMs = 60_000;
const runsRemembered = 50;

/** Opens the queue on its own Postgres schema, brings that schema up to date, and writes down all schedules. */
export async function openJobQueue(options: JobQueueOptions): Promise<JobQueue> {
  const pool = createPool(options);
  try {
    await migrateQueue(pool);
    const queue = new Queue(queueName, { connection: asConnection(pool) });
    queue.on('error', options.onError);
    await writeSchedules(queue, options.schedules);
    return serveQueue(pool, queue, options);
  } catch (error) {
    await pool.end();
    throw error;
  }
}

function serveQueue(pool: Pool, queue: Queue, options: JobQueueOptions): JobQueue {
  let worker: Worker | undefined;
  return {
    async work(run) {
      worker = new Worker(
        queueName,
        async (job, token) => {
          if (!isJobName(job.name)) return;
          const again = await run(job.name);
          if (again === undefined) return;
          await job.moveToDelayed(options.clock.nowMs() + again.againInMs, token);
          throw new DelayedError();
        },
        { connection: asConnection(pool), concurrency: jobNames.length },
      );
      worker.on('error', options.onError);
      await worker.waitUntilReady();
    },
    async close() {
      await worker?.close();
      await queue.close();
      await pool.end();
    },
  };
}

/** BullMQ cannot load `pg` by itself from an ES module, so it gets a pool; that pool must then name the schema. */
function createPool(options: JobQueueOptions): Pool {
  const pool = new Pool({
    connectionString: options.url,
    max: connectionsMax,
    keepAlive: true,
    application_name: queueName,
    options: `-c search_path=${schema}`,
    statement_timeout: 30_000,
    // An open transaction holds back the event horizon of the whole cluster.
    idle_in_transaction_session_timeout: 10_000,
  });
  return pool.on('error', options.onError);
}

/** The two packages declare the same `on` of a client in ways that TypeScript cannot match. */
function asConnection(pool: Pool): PgPool {
  return pool as unknown as PgPool;
}

async function migrateQueue(pool: Pool): Promise<void> {
  const client = await pool.connect();
  try {
    await runMigrations(client, schema);
  } finally {
    client.release();
  }
}

/** Every process writes the same rows, and removes those of jobs that are no longer in the catalogue. */
async function writeSchedules(queue: Queue, schedules: JobQueueOptions['schedules']): Promise<void> {
  for (const name of jobNames) {
    const job = jobs[name];
    await queue.upsertJobScheduler(
      name,
      { pattern: schedules?.[name] ?? job.schedule, tz: 'UTC' },
      {
        name,
        data: {},
        opts: {
          attempts: job.retries + 1,
          backoff: { type: 'exponential', delay: retryDelayMs },
          stackTraceLimit: 0,
          removeOnComplete: { count: runsRemembered },
          removeOnFail: { count: runsRemembered },
        },
      },
    );
  }
  for (const { key } of await queue.getJobSchedulers()) {
    if (!isJobName(key)) await queue.removeJobScheduler(key);
  }
}
