import { Writable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { jobNames } from '#jobs/catalogue.ts';
import type { JobSchedules } from '#jobs/queue/queue.ts';
import { systemClock } from '#platform/clock.ts';
import { readConfig } from '#platform/config/config.ts';
import { createLogger } from '#platform/logging/logger.ts';
import { createMetrics } from '#platform/metrics/metrics.ts';
import type { Metrics } from '#platform/metrics/metrics.ts';
import type { JobRun, JobRuns } from '../../workers/start-worker.ts';
import { jobRuns, startWorkers } from '../../workers/main.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { hasRedis, startRedis } from '../support/processes/redis.ts';
import type { TestRedis } from '../support/processes/redis.ts';

const everySecond = schedulesOf('* * * * * *');
const never = schedulesOf('0 0 1 1 *');

function schedulesOf(pattern: string): JobSchedules {
  return Object.fromEntries(jobNames.map((name) => [name, pattern])) as JobSchedules;
}

let database: TestDatabase;
let closers: (() => Promise<void>)[] = [];
let lines: string[];
let redis: TestRedis | undefined;
let place: Record<string, string>;

beforeEach(async () => {
  database = await createTestDatabase();
  lines = [];
  await redis?.flush();
  place = redis === undefined ? {} : { REDIS_URL: redis.url };
});

afterEach(async () => {
  for (const close of closers) await close();
  closers = [];
  await database.close();
});

function newMetrics(): Metrics {
  return createMetrics({ methods: [], quotas: [], jobs: jobNames });
}

async function start(schedules: JobSchedules, runs: JobRuns, metrics = newMetrics()): Promise<void> {
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(...chunk.toString().trim().split('\n'));
      done();
    },
  });
  const config = readConfig({ JOB_LEASE_MS: '2000', ...place });
  const logger = createLogger('info', sink);
  const deps = { database, databaseUrl: database.url, config, clock: systemClock, logger, metrics };
  const workers = await startWorkers({ ...deps, schedules, runs });
  let closed: Promise<void> | undefined;
  closers.push(() => (closed ??= workers.close()));
}

function runsOf(counts: Record<string, number[]>): JobRuns {
  const counted =
    (name: string): JobRun =>
    () => {
      (counts[name] ??= []).push(Date.now());
      return Promise.resolve({ removed: 0 });
    };
  return Object.fromEntries(jobNames.map((name) => [name, counted(name)])) as JobRuns;
}

/** All data that the queue stores. */
async function dumpQueue(): Promise<string> {
  if (redis !== undefined) return redis.dump();
  const tables = await database.sql<{ name: string }[]>`
    SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'bullmq' AND table_type = 'BASE TABLE'`;
  const rows = await Promise.all(
    tables.map(({ name }) => database.sql`SELECT t::text AS row FROM bullmq.${database.sql(name)} t`),
  );
  return JSON.stringify(rows);
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let waitedMs = 0; !condition(); waitedMs += 50) {
    if (waitedMs > 15_000) throw new Error(`timeout while waiting for ${what}; logged: ${lines.join('\n')}`);
    await systemClock.sleep(50);
  }
}

function events(name: string): Record<string, unknown>[] {
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ event }) => event === name);
}

describe.each(['postgres', 'redis'] as const)('jobs queued in %s', (backend) => {
  const isAbsent = backend === 'redis' && !hasRedis;

  beforeAll(async () => {
    if (backend === 'redis' && hasRedis) redis = await startRedis();
  });
  afterAll(async () => {
    await redis?.close();
    redis = undefined;
  });

  describe.skipIf(isAbsent)('on its own server', () => {
    test('every job runs on its schedule and reports when it last succeeded', async () => {
      const metrics = newMetrics();
      await start(everySecond, jobRuns, metrics);
      const jobsDone = (): Set<unknown> => new Set(events('job_finished').map(({ job }) => job));
      await until(() => jobsDone().size === jobNames.length, 'all jobs');
      expect(events('job_failed')).toEqual([]);
      const text = await metrics.read();
      for (const name of jobNames) {
        expect(text).toMatch(new RegExp(`nightjar_job_last_success_timestamp_seconds{job="${name}"} \\d`));
        expect(text).toMatch(new RegExp(`nightjar_job_runs_total{job="${name}",result="succeeded"} [1-9]`));
      }
    });

    test('two workers run a scheduled job once', async () => {
      const counts: Record<string, number[]> = {};
      await start(everySecond, runsOf(counts));
      await start(everySecond, runsOf(counts));
      await until(() => jobNames.every((name) => (counts[name] ?? []).length >= 6), 'six rounds');
      for (const close of closers) await close();
      for (const times of Object.values(counts)) {
        const elapsedSeconds = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1000;
        // One run may be late and the next on time.
        expect(times.length - 1, `runs at ${times.join(', ')}`).toBeLessThanOrEqual(elapsedSeconds + 1);
      }
    });

    test('a failed job is logged by error class alone, counted, and its message is not stored in the queue', async () => {
      const secret = 'did:plc:thisisinanerrortext';
      const metrics = newMetrics();
      const failing: JobRun = () => Promise.reject(new TypeError(secret));
      await start({ ...never, 'compact-events': '* * * * * *' }, { ...runsOf({}), 'compact-events': failing }, metrics);
      await until(() => events('job_failed').length > 0, 'the failure');
      expect(events('job_failed')[0]).toMatchObject({ job: 'compact-events', errorClass: 'TypeError' });
      expect(lines.join('\n')).not.toContain(secret);
      expect(await metrics.read()).toContain('nightjar_job_runs_total{job="compact-events",result="failed"} 1');
      for (const close of closers) await close();
      const dump = await dumpQueue();
      expect(dump).toContain('compact-events');
      expect(dump).not.toContain('thisisinanerrortext');
    });

    test('stopping waits for the running job', async () => {
      let finished = false;
      let began = false;
      const slow: JobRun = async () => {
        began = true;
        await systemClock.sleep(700);
        finished = true;
        return { removed: 0 };
      };
      await start({ ...never, 'compact-events': '* * * * * *' }, { ...runsOf({}), 'compact-events': slow });
      await until(() => began, 'the slow job');
      const startedMs = performance.now();
      for (const close of closers) await close();
      expect(finished).toBe(true);
      expect(performance.now() - startedMs).toBeLessThan(5_000);
    });

    test('idle workers have no open transaction and few connections', async () => {
      await start(never, runsOf({}));
      await systemClock.sleep(300);
      const sessions = await database.sql<{ state: string; xid: string | null }[]>`
    select state, backend_xid::text as xid from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and application_name like 'nightjar-jobs%'`;
      expect(sessions.length > 0).toBe(backend === 'postgres');
      expect(sessions.length).toBeLessThanOrEqual(3);
      expect(sessions.filter(({ state, xid }) => state.includes('transaction') || xid !== null)).toEqual([]);
    });

    test('a job without an implementation, and an implementation without a job, prevent the start', async () => {
      const { 'compact-events': only } = runsOf({});
      await expect(start(never, { 'compact-events': only } as unknown as JobRuns)).rejects.toThrow('catalogue');
      await expect(start(never, { ...runsOf({}), unknown: only } as JobRuns)).rejects.toThrow('catalogue');
    });
  });
});
