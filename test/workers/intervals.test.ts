import { afterEach, describe, expect, test } from 'vitest';
import { jobNames } from '#jobs/catalogue.ts';
import { systemClock } from '#platform/clock.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { hasRedis, startRedis } from '../support/processes/redis.ts';
import type { TestRedis } from '../support/processes/redis.ts';
import { hasFaketime, recordRuns, recordedRuns, WorkerProcesses } from '../support/processes/worker-processes.ts';

const intervalSeconds = 2;
const watchedSeconds = 6;

let database: TestDatabase;
let redis: TestRedis | undefined;
let workers: WorkerProcesses;

async function prepare(backend: 'postgres' | 'redis'): Promise<void> {
  database = await createTestDatabase({ poolSize: 3 });
  if (backend === 'redis') redis = await startRedis();
  await recordRuns(database.sql);
  workers = new WorkerProcesses({
    DATABASE_URL: database.url,
    JOB_LEASE_MS: '1000',
    SCHEDULE: `*/${intervalSeconds} * * * * *`,
    ...(redis === undefined ? {} : { REDIS_URL: redis.url }),
  });
}

afterEach(async () => {
  await workers.killAll();
  await database.close();
  await redis?.close();
  redis = undefined;
});

/** Observes the workers for a while: every job must run once in every interval, and no run twice. */
async function expectOneRunPerInterval(): Promise<void> {
  // Eight processes that start on a busy machine take longer than the observation.
  await expect.poll(async () => (await recordedRuns(database.sql)).length, { timeout: 30_000 }).toBeGreaterThan(0);
  await database.sql`TRUNCATE turns_done`;
  await systemClock.sleep(watchedSeconds * 1_000);
  const turns = await recordedRuns(database.sql);
  expect(turns.map(({ job }) => job)).toEqual([...jobNames].toSorted());
  expect(turns.filter(({ count, turns: different }) => count !== different)).toEqual([]);
  const intervals = watchedSeconds / intervalSeconds;
  // The first and the last interval are observed only in part; under load one run may come late.
  expect(turns.filter(({ count }) => count < intervals - 2 || count > intervals + 1)).toEqual([]);
}

describe.each(['postgres', 'redis'] as const)('jobs queued in %s run once per interval', (backend) => {
  const isAbsent = backend === 'redis' && !hasRedis;

  test.skipIf(isAbsent)('with eight workers that start at once', { timeout: 60_000 }, async () => {
    await prepare(backend);
    await Promise.all(Array.from({ length: 8 }, () => workers.start()));
    await expectOneRunPerInterval();
  });

  test.skipIf(isAbsent || !hasFaketime)(
    'next to workers whose clocks are a day ahead and a day behind, also when those started first',
    { timeout: 60_000 },
    async () => {
      await prepare(backend);
      await workers.start('+24h');
      await workers.start();
      await workers.start('-24h');
      await systemClock.sleep(2_000);
      await expectOneRunPerInterval();
    },
  );

  test.skipIf(isAbsent)(
    'again after their worker was stopped and the queue lost all its data',
    { timeout: 60_000 },
    async () => {
      await prepare(backend);
      await workers.start();
      await systemClock.sleep(1_000);
      if (redis === undefined) await database.sql`TRUNCATE bullmq.job, bullmq.scheduler CASCADE`;
      else await redis.flush();
      await systemClock.sleep(3_000);
      await expectOneRunPerInterval();
    },
  );
});
