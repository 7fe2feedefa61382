import { sql as kyselySql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { countExpired } from '#domain/retention/count-expired.ts';
import { nonExpiringTables } from '#domain/retention/non-expiring-tables.ts';
import { ageSources, readRetentionAges } from '#domain/retention/read-retention-ages.ts';
import { retentionClasses, retentionClassNames } from '#domain/retention/retention-classes.ts';
import type { RetentionClassName } from '#domain/retention/retention-classes.ts';
import { jobNames } from '#jobs/catalogue.ts';
import { systemClock } from '#platform/clock.ts';
import { readConfig } from '#platform/config/config.ts';
import { createLogger } from '#platform/logging/logger.ts';
import { createMetrics } from '#platform/metrics/metrics.ts';
import { firstRowAges } from '#storage/expiry/expiring-rows.ts';
import type { FirstRow } from '#storage/expiry/expiring-rows.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { insertExpiringClasses } from '../support/postgres/expiring-classes.ts';
import { plantRows } from '../support/postgres/expiring-rows.ts';
import { runJob } from '../support/processes/run-job.ts';
import { startWorkers } from '../../workers/main.ts';

const config = readConfig({});
const timeoutMs = 10_000;
/** Jobs that remove no stored rows. */
const otherJobs = ['watch-key-packages'];
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 4 });
});
afterAll(() => database.close());

function classesOf(job: string): RetentionClassName[] {
  return retentionClassNames.filter((name) => retentionClasses[name].job === job);
}

async function countOf(job: string): Promise<number> {
  let total = 0;
  for (const name of classesOf(job)) total += (await countExpired({ database, config, timeoutMs }, name)).rows ?? 0;
  return total;
}

test('every table of the database has a retention class, or a reason to be stored until a user removes its rows', async () => {
  const tables = await database.sql<{ name: string }[]>`
    SELECT relname AS name FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
      AND relname NOT LIKE 'kysely_%' ORDER BY relname`;
  const known = [
    ...new Set([...Object.values(retentionClasses).map(({ table }) => table), ...Object.keys(nonExpiringTables)]),
  ];
  expect(known.toSorted()).toEqual(tables.map(({ name }) => name));
});

test('every job that removes rows has a class, and every class has a job', () => {
  const withClasses = Object.values(retentionClasses).map(({ job }) => job);
  expect(jobNames.filter((name) => !withClasses.some((job) => job === name))).toEqual(otherJobs);
});

test('each job removes exactly the rows that were counted before, also where the removal of one row expires another', async () => {
  await plantRows(database.sql, 'living', 5);
  await plantRows(database.sql, 'expired', 20);
  await insertExpiringClasses(database.sql);
  const seen = new Set<RetentionClassName>();
  for (const job of jobNames.filter((name) => !otherJobs.includes(name))) {
    for (const name of classesOf(job)) {
      if (((await countExpired({ database, config, timeoutMs }, name)).rows ?? 0) > 0) seen.add(name);
    }
    const counted = await countOf(job);
    expect({ job, removed: await runJob(database, job) }).toEqual({ job, removed: counted });
    expect({ job, left: await countOf(job) }).toEqual({ job, left: 0 });
  }
  expect(retentionClassNames.filter((name) => !seen.has(name))).toEqual([]);
});

test('counting takes no transaction id, and stops at its timeout', async () => {
  const crowded = { ...config, MAX_KEY_PACKAGES_PER_DEVICE: 1 };
  const currentId = async (): Promise<string | undefined> => {
    const [row] = await database.sql<{ next: string }[]>`SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next`;
    return row?.next;
  };
  const before = await currentId();
  for (const name of retentionClassNames) await countExpired({ database, config: crowded, timeoutMs }, name);
  // Other test files use the same cluster and its transaction ids, so one count without a new id is enough.
  const quiet = await untilQuiet(before, currentId, () => countExpired({ database, config, timeoutMs }, 'reports'));
  expect(quiet).toBe(true);
  await plantRows(database.sql, 'living', 3_000);
  expect(await countExpired({ database, config, timeoutMs: 1 }, 'surplus-key-packages')).toEqual({ rows: undefined });
});

async function untilQuiet(
  first: string | undefined,
  read: () => Promise<string | undefined>,
  task: () => Promise<unknown>,
): Promise<boolean> {
  let before = first;
  for (let round = 0; round < 50; round++) {
    await task();
    const after = await read();
    if (after === before) return true;
    before = after;
  }
  return false;
}

/** The nodes of a plan that read a table, each with whether it stops at the first row. */
function readsOf(plan: Record<string, unknown>, isLimited = false): { type: string; isLimited: boolean }[] {
  const type = String(plan['Node Type']);
  const below = (plan['Plans'] ?? []) as Record<string, unknown>[];
  const own = type.includes('Scan') && plan['Relation Name'] !== undefined ? [{ type, isLimited }] : [];
  return [...own, ...below.flatMap((child) => readsOf(child, type === 'Limit'))];
}

async function planOf(place: FirstRow & { table: 'reports' }): Promise<{ type: string; isLimited: boolean }[]> {
  const { rows } = await database.db.connection().execute(async (db) => {
    return kyselySql<{ 'QUERY PLAN': { Plan: Record<string, unknown> }[] }>`
      EXPLAIN (FORMAT JSON) ${firstRowAges([place])}`.execute(db);
  });
  return readsOf(rows[0]?.['QUERY PLAN'][0]?.Plan ?? {});
}

test('the first row of a class is read from an index, for any size of the table', async () => {
  for (const place of ageSources(config)) {
    const reads = await planOf(place as FirstRow & { table: 'reports' });
    expect({ name: place.name, reads }).toEqual({
      name: place.name,
      reads: reads.map(() => ({ type: expect.stringMatching(/^Index (Only )?Scan$/) as string, isLimited: true })),
    });
    expect(reads.length).toBeGreaterThan(0);
  }
  const unindexed = await planOf({ table: 'reports', at: kyselySql`min(resolved_at)` });
  expect(unindexed, 'a read without an index would be detected').not.toEqual([
    { type: expect.stringMatching(/^Index (Only )?Scan$/) as string, isLimited: true },
  ]);
});

test('a class reports how long ago its oldest row could have been removed, and nothing after the job has run', async () => {
  const read = async (name: string) =>
    (await readRetentionAges(database, config)).find((age) => age.name === name) ?? { overdueMs: -1 };
  await runJob(database, 'clean-reports');
  expect(await read('reports')).toMatchObject({ overdueMs: 0 });
  await database.sql`
    INSERT INTO reports (report_id, group_id, report_no, category, state, sealed_parties, sealed_content, submitted_at)
    VALUES (gen_random_uuid(), '\\x01', 1, 1, 1, '\\x00', '\\x00', now() - interval '31 days')`;
  const { overdueMs, oldestMs } = { oldestMs: undefined, ...(await read('reports')) };
  expect(overdueMs / 3_600_000).toBeCloseTo(24, 1);
  expect((oldestMs ?? 0) / 86_400_000).toBeCloseTo(31, 1);
  await runJob(database, 'clean-reports');
  expect(await read('reports')).toMatchObject({ overdueMs: 0 });
});

test('a worker measures the age of every class with a time, and Prometheus can read it', async () => {
  await database.sql`
    INSERT INTO reports (report_id, group_id, report_no, category, state, sealed_parties, sealed_content, submitted_at)
    VALUES (gen_random_uuid(), '\\x02', 1, 1, 1, '\\x00', '\\x00', now() - interval '31 days')`;
  const metrics = createMetrics({ methods: [], quotas: [], jobs: jobNames, retentionClasses: retentionClassNames });
  const deps = { database, config, clock: systemClock, logger: createLogger('silent'), metrics };
  const workers = await startWorkers({ databaseUrl: database.url, ...deps });
  try {
    const overdueHours = async (): Promise<number> => {
      const found = /^nightjar_retention_overdue_seconds\{class="reports",job="clean-reports"\} (\S+)$/m.exec(
        await metrics.read(),
      );
      return Number(found?.[1] ?? 0) / 3_600;
    };
    for (let attempt = 0; attempt < 100 && (await overdueHours()) === 0; attempt++) await systemClock.sleep(50);
    expect(await overdueHours()).toBeCloseTo(24, 1);
    const text = await metrics.read();
    for (const { name } of await readRetentionAges(database, config)) expect(text).toContain(`{class="${name}",job=`);
    expect(text).not.toContain('class="unknown"');
  } finally {
    await workers.close();
  }
});
