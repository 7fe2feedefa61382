import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDatabaseWatch } from '#jobs/database-state.ts';
import { releaseLease, pauseJob, readJobStates, resumeJob, acquireLease } from '#jobs/leases/acquire-lease.ts';
import { openLease, LeaseLostError } from '#jobs/leases/lease.ts';
import { systemClock } from '#platform/clock.ts';
import { openDatabase } from '#storage/connection/database.ts';
import type { Database } from '#storage/connection/database.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { createManualClock } from '../support/manual-clock.ts';

const job = 'compact-events';
const leaseMs = 60_000;
const noon = new Date('2026-01-01T12:00:00Z');
const one = new Date('2026-01-01T13:00:00Z');

let database: TestDatabase;
const pools: Database[] = [];

beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 4 });
});
afterAll(async () => {
  for (const pool of pools) await pool.close();
  await database.close();
});
beforeEach(async () => {
  await database.sql`TRUNCATE job_turns`;
});

function anotherWorker(): Database {
  const pool = openDatabase({ url: database.url, poolSize: 2, applicationName: 'worker' });
  pools.push(pool);
  return pool;
}

async function acquire(
  runAt: Date | undefined,
  lease = leaseMs,
): Promise<{ job: string; fence: number; budgetMs: number }> {
  const result = await acquireLease(database.sql, { job, runAt, leaseMs: lease });
  if ('refused' in result) throw new Error(result.refused);
  return { job, fence: result.fence, budgetMs: 60_000 };
}

async function refusal(runAt: Date | undefined, lease = leaseMs): Promise<string | undefined> {
  const result = await acquireLease(database.sql, { job, runAt, leaseMs: lease });
  return 'refused' in result ? result.refused : undefined;
}

describe('the lease of a run', () => {
  test('is acquired by exactly one of eight workers at once', async () => {
    const workers = Array.from({ length: 8 }, anotherWorker);
    const results = await Promise.all(
      workers.map(({ sql: pool }) => acquireLease(pool, { job, runAt: noon, leaseMs })),
    );
    expect(results.filter((result) => 'fence' in result)).toHaveLength(1);
    expect(results.filter((result) => 'refused' in result && result.refused === 'busy')).toHaveLength(7);
  });

  test('is not acquired for a completed run, nor for an earlier one', async () => {
    await releaseLease(database.sql, await acquire(noon), 'succeeded');
    expect(await refusal(noon)).toBe('done');
    expect(await refusal(new Date(noon.getTime() - 1))).toBe('done');
    expect(await refusal(one)).toBeUndefined();
  });

  test('can be acquired again after a failure, and from an owner without a heartbeat for a lease time', async () => {
    await releaseLease(database.sql, await acquire(noon), 'failed');
    await acquire(noon);
    expect(await refusal(noon)).toBe('busy');
    expect(await refusal(one)).toBe('busy');
    await systemClock.sleep(30);
    expect(await refusal(noon, 20)).toBeUndefined();
  });

  test('of a run by an operator needs no schedule, but is refused next to another run', async () => {
    await acquire(undefined);
    expect(await refusal(undefined)).toBe('busy');
  });

  test('is not acquired while the job is paused, except by an operator; it is after resuming', async () => {
    await pauseJob(database.sql, job);
    expect(await refusal(noon)).toBe('paused');
    await releaseLease(database.sql, await acquire(undefined), 'succeeded');
    await resumeJob(database.sql, job);
    expect(await refusal(new Date(Date.now() + 3_600_000))).toBeUndefined();
    expect(await readJobStates(database.sql)).toMatchObject([{ job, isRunning: true, pausedAt: null }]);
  });
});

describe('a worker that was paused past its lease', () => {
  test('can change nothing any more, by any function of the lease', async () => {
    const expired = openLease({ database, clock: systemClock }, await acquire(noon));
    await expired.step(() => Promise.resolve());
    await acquire(noon, 0);
    let isCalled = false;
    const change = async (): Promise<number> => {
      isCalled = true;
      return 0;
    };
    await expect(expired.step(change)).rejects.toThrow(LeaseLostError);
    await expect(expired.inBatches(change)).rejects.toThrow(LeaseLostError);
    await expect(database.sql.begin((tx) => expired.confirm(tx))).rejects.toThrow(LeaseLostError);
    expect(isCalled).toBe(false);
  });

  test('ends its current step before another worker acquires the lease', async () => {
    const order: string[] = [];
    const slow = openLease({ database, clock: systemClock }, await acquire(noon));
    let isInStep = (): void => undefined;
    const inStep = new Promise<void>((resolve) => (isInStep = resolve));
    const step = slow.step(async (tx) => {
      isInStep();
      await sql`SELECT pg_sleep(0.3)`.execute(tx);
      order.push('step');
    });
    await inStep;
    await Promise.all([
      step,
      acquireLease(anotherWorker().sql, { job, runAt: noon, leaseMs: 0 }).then(() => order.push('acquired')),
    ]);
    expect(order).toEqual(['step', 'acquired']);
  });

  test('does not affect the outcome: neither its success nor its failure counts', async () => {
    const expired = await acquire(noon);
    const owner = await acquire(noon, 0);
    await releaseLease(database.sql, expired, 'succeeded');
    await releaseLease(database.sql, expired, 'failed');
    expect(await readJobStates(database.sql)).toMatchObject([{ isRunning: true, succeededAt: null }]);
    await releaseLease(database.sql, owner, 'succeeded');
    expect(await readJobStates(database.sql)).toMatchObject([
      { isRunning: false, succeededAt: expect.any(Date) as Date },
    ]);
  });

  test('loses its lease after a timeout, even if no other worker acquires it', async () => {
    const acquired = await acquire(noon);
    const late = openLease({ database, clock: systemClock }, acquired);
    await releaseLease(database.sql, acquired, 'failed');
    await expect(late.step(() => Promise.resolve())).rejects.toThrow(LeaseLostError);
  });
});

test('a run in batches ends when nothing is left or its time is over, and leaves the rest to the next run', async () => {
  const clock = createManualClock(Date.now());
  const acquired = { ...(await acquire(noon)), budgetMs: 1_000 };
  const batches = openLease({ database, clock }, acquired);
  const left = [1_000, 400, 0, 7];
  expect(await batches.inBatches(() => Promise.resolve(left.shift() ?? 0))).toBe(1_400);
  expect(left).toEqual([7]);
  const endless = async (): Promise<number> => {
    clock.advance(400);
    return 10;
  };
  expect(await batches.inBatches(endless)).toBe(30);
  expect(batches.hasTime()).toBe(false);
});

describe('because rows are deleted by the database’s clock, no job runs', () => {
  test.each([
    ['this machine’s clock is a day ahead of it', 86_400_000],
    ['this machine’s clock is a day behind it', -86_400_000],
  ])('while %s', async (_name, offMs) => {
    const watch = createDatabaseWatch({
      sql: database.sql,
      clock: { ...systemClock, nowMs: () => Date.now() + offMs },
    });
    expect(await watch()).toMatchObject({ unfit: 'clock' });
  });

  test('after both clocks jumped ahead together while the worker ran', async () => {
    // A machine's monotonic clock does not jump; moving it back a day simulates a wall clock that jumped ahead.
    let jumpMs = 0;
    const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() - jumpMs };
    const watch = createDatabaseWatch({ sql: database.sql, clock });
    expect(await watch()).toHaveProperty('nowMs');
    jumpMs = 86_400_000;
    expect(await watch()).toMatchObject({ unfit: 'clock' });
    jumpMs = 0;
    expect(await watch()).toHaveProperty('nowMs');
  });

  test('while the clock is before the last heartbeat, until the job is resumed', async () => {
    const watch = createDatabaseWatch({ sql: database.sql, clock: systemClock });
    await acquire(noon);
    await database.sql`UPDATE job_turns SET beat_at = now() + interval '1 day', turn_at = now() + interval '1 day'`;
    expect(await watch()).toMatchObject({ unfit: 'clock' });
    await resumeJob(database.sql, job);
    expect(await watch()).toHaveProperty('nowMs');
    expect(await refusal(new Date(Date.now() + 60_000), 0)).toBeUndefined();
  });

  test('while the database is read-only', async () => {
    const readOnly = openDatabase({
      url: `${database.url}${database.url.includes('?') ? '&' : '?'}default_transaction_read_only=on`,
      poolSize: 1,
      applicationName: 'worker',
    });
    pools.push(readOnly);
    expect(await createDatabaseWatch({ sql: readOnly.sql, clock: systemClock })()).toMatchObject({ unfit: 'standby' });
  });
});
