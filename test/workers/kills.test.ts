import { afterEach, describe, expect, test } from 'vitest';
import { jobNames } from '#jobs/catalogue.ts';
import { systemClock } from '#platform/clock.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { countPlanted, plantedTables, plantRows } from '../support/postgres/expiring-rows.ts';
import { hasRedis, startRedis } from '../support/processes/redis.ts';
import type { TestRedis } from '../support/processes/redis.ts';
import { recordRuns, recordedRuns, WorkerProcesses } from '../support/processes/worker-processes.ts';

/** `npm run crash` sets it to 300. */
const killCount = Number(process.env['KILLS'] ?? 60);
const workersAtOnce = 3;
const leaseMs = 1_000;
const livingPerTable = 50;
const expiredPerPlanting = 120;
const doneWithinMs = 10_000;

let database: TestDatabase;
let redis: TestRedis | undefined;
let workers: WorkerProcesses;

afterEach(async () => {
  await workers.killAll();
  await database.close();
  await redis?.close();
  redis = undefined;
});

/** Slows down deletion, so that kills hit running jobs. */
async function slowDownDeletion(): Promise<void> {
  await database.sql.unsafe(`
    CREATE FUNCTION slow_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.0005); RETURN OLD; END $$`);
  for (const table of plantedTables) {
    await database.sql.unsafe(
      `CREATE TRIGGER slow_delete BEFORE DELETE ON ${table} FOR EACH ROW EXECUTE FUNCTION slow_delete()`,
    );
  }
}

/** Waits until every job has succeeded since the call and no expired row is left. */
async function untilAllDone(): Promise<number> {
  const [now] = await database.sql<{ now: Date }[]>`SELECT clock_timestamp() AS now`;
  const startedMs = performance.now();
  for (;;) {
    const done = await database.sql<{ job: string }[]>`
      SELECT job FROM job_turns WHERE succeeded_at > ${now?.now ?? ''} AND NOT is_running`;
    const left = Object.values(await countPlanted(database.sql)).some((count) => count !== livingPerTable);
    const elapsedMs = performance.now() - startedMs;
    if ((done.length === jobNames.length && !left) || elapsedMs > doneWithinMs) return elapsedMs;
    await systemClock.sleep(100);
  }
}

describe.each([
  ['postgres', killCount],
  ['redis', Math.ceil(killCount / 4)],
] as const)('workers on %s, killed %i times at random instants over all jobs', (backend, kills) => {
  test.skipIf(backend === 'redis' && !hasRedis)(
    'lose no effect and double none, and every job is done within 10 s after a worker has started again',
    { timeout: 60_000 + kills * 4_000 },
    async () => {
      database = await createTestDatabase({ poolSize: 4 });
      if (backend === 'redis') redis = await startRedis();
      const place = redis === undefined ? {} : { REDIS_URL: redis.url };
      workers = new WorkerProcesses({ DATABASE_URL: database.url, JOB_LEASE_MS: String(leaseMs), ...place });
      await recordRuns(database.sql);
      await slowDownDeletion();
      await plantRows(database.sql, 'living', livingPerTable);
      for (let index = 0; index < workersAtOnce; index++) await workers.start();
      for (let count = 0; count < kills; count++) {
        await plantRows(database.sql, 'expired', expiredPerPlanting);
        await systemClock.sleep(Math.random() * 400);
        const victim = workers.running[Math.floor(Math.random() * workers.running.length)];
        if (victim !== undefined) await workers.kill(victim);
        // Sometimes no worker is left for a while.
        if (workers.running.length < workersAtOnce - 1 || count % 3 > 0) await workers.start();
      }
      await workers.killAll();
      await plantRows(database.sql, 'expired', expiredPerPlanting);
      await workers.start();
      expect(await untilAllDone()).toBeLessThan(doneWithinMs);
      expect(await countPlanted(database.sql)).toEqual(
        Object.fromEntries(plantedTables.map((table) => [table, livingPerTable])),
      );
      const turns = await recordedRuns(database.sql);
      expect(turns.map(({ job }) => job)).toEqual([...jobNames].toSorted());
      expect(turns.filter((row) => row.count !== row.turns)).toEqual([]);
    },
  );
});
