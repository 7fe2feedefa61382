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

async function take(
  runAt: Date | undefined,
  lease = leaseMs,
): Promise<{ job: string; fence: number; budgetMs: number }> {
  const taken = await acquireLease(database.sql, { job, runAt, leaseMs: lease });
  if ('refused' in taken) throw new Error(taken.refused);
  return { job, fence: taken.fence, budgetMs: 60_000 };
}

async function refusal(runAt: Date | undefined, lease = leaseMs): Promise<string | undefined> {
  const taken = await acquireLease(database.sql, { job, runAt, leaseMs: lease });
  return 'refused' in taken ? taken.refused : undefined;
}

describe('one turn of a job', () => {
  test('goes to exactly one of eight workers that are told of it at once', async () => {
    const workers = Array.from({ length: 8 }, anotherWorker);
    const taken = await Promise.all(workers.map(({ sql: pool }) => acquireLease(pool, { job, runAt: noon, leaseMs })));
    expect(taken.filter((turn) => 'fence' in turn)).toHaveLength(1);
    expect(taken.filter((turn) => 'refused' in turn && turn.refused === 'busy')).toHaveLength(7);
  });

  test('is not done twice, and an earlier one not after it', async () => {
    await releaseLease(database.sql, await take(noon), 'succeeded');
    expect(await refusal(noon)).toBe('done');
    expect(await refusal(new Date(noon.getTime() - 1))).toBe('done');
    expect(await refusal(one)).toBeUndefined();
  });

  test('can be taken again after it failed, and from a holder that has not been heard of for a lease', async () => {
    await releaseLease(database.sql, await take(noon), 'failed');
    await take(noon);
    expect(await refusal(noon)).toBe('busy');
    expect(await refusal(one)).toBe('busy');
    await systemClock.sleep(30);
    expect(await refusal(noon, 20)).toBeUndefined();
  });

  test('by hand needs no schedule, but never runs beside another run', async () => {
    await take(undefined);
    expect(await refusal(undefined)).toBe('busy');
  });

  test('is not taken while the job is paused, except by hand; resumed, it goes on', async () => {
    await pauseJob(database.sql, job);
    expect(await refusal(noon)).toBe('paused');
    await releaseLease(database.sql, await take(undefined), 'succeeded');
    await resumeJob(database.sql, job);
    expect(await refusal(new Date(Date.now() + 3_600_000))).toBeUndefined();
    expect(await readJobStates(database.sql)).toMatchObject([{ job, isRunning: true, pausedAt: null }]);
  });
});

describe('a worker that slept through its turn', () => {
  test('changes nothing any more, in no way of changing something', async () => {
    const slept = openLease({ database, clock: systemClock }, await take(noon));
    await slept.step(() => Promise.resolve());
    await take(noon, 0);
    let isCalled = false;
    const harm = async (): Promise<number> => {
      isCalled = true;
      return 0;
    };
    await expect(slept.step(harm)).rejects.toThrow(LeaseLostError);
    await expect(slept.inBatches(harm)).rejects.toThrow(LeaseLostError);
    await expect(database.sql.begin((tx) => slept.confirm(tx))).rejects.toThrow(LeaseLostError);
    expect(isCalled).toBe(false);
  });

  test('ends the step that it is in before another worker has the job', async () => {
    const order: string[] = [];
    const slow = openLease({ database, clock: systemClock }, await take(noon));
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
      acquireLease(anotherWorker().sql, { job, runAt: noon, leaseMs: 0 }).then(() => order.push('taken')),
    ]);
    expect(order).toEqual(['step', 'taken']);
  });

  test('has no part in the outcome: neither its success nor its failure counts', async () => {
    const slept = await take(noon);
    const holder = await take(noon, 0);
    await releaseLease(database.sql, slept, 'succeeded');
    await releaseLease(database.sql, slept, 'failed');
    expect(await readJobStates(database.sql)).toMatchObject([{ isRunning: true, succeededAt: null }]);
    await releaseLease(database.sql, holder, 'succeeded');
    expect(await readJobStates(database.sql)).toMatchObject([
      { isRunning: false, succeededAt: expect.any(Date) as Date },
    ]);
  });

  test('whose run took too long loses its turn, though nobody else wants it', async () => {
    const held = await take(noon);
    const late = openLease({ database, clock: systemClock }, held);
    await releaseLease(database.sql, held, 'failed');
    await expect(late.step(() => Promise.resolve())).rejects.toThrow(LeaseLostError);
  });
});

test('a run in batches ends when nothing is left or its time is over, and leaves the rest to its next turn', async () => {
  const clock = createManualClock(Date.now());
  const held = { ...(await take(noon)), budgetMs: 1_000 };
  const turn = openLease({ database, clock }, held);
  const left = [1_000, 400, 0, 7];
  expect(await turn.inBatches(() => Promise.resolve(left.shift() ?? 0))).toBe(1_400);
  expect(left).toEqual([7]);
  const endless = async (): Promise<number> => {
    clock.advance(400);
    return 10;
  };
  expect(await turn.inBatches(endless)).toBe(30);
  expect(turn.hasTime()).toBe(false);
});

describe('what is deleted is deleted by the database’s clock', () => {
  test.each([
    ['this machine’s clock is a day ahead of it', 86_400_000],
    ['this machine’s clock is a day behind it', -86_400_000],
  ])('so no job runs while %s', async (_name, offMs) => {
    const watch = createDatabaseWatch({
      sql: database.sql,
      clock: { ...systemClock, nowMs: () => Date.now() + offMs },
    });
    expect(await watch()).toMatchObject({ unfit: 'clock' });
  });

  test('so no job runs after both clocks jumped ahead together while the worker ran', async () => {
    // The monotonic clock of a machine does not jump; going back a day, it does what a wall clock jumped ahead would look like.
    let jumpMs = 0;
    const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() - jumpMs };
    const watch = createDatabaseWatch({ sql: database.sql, clock });
    expect(await watch()).toHaveProperty('nowMs');
    jumpMs = 86_400_000;
    expect(await watch()).toMatchObject({ unfit: 'clock' });
    jumpMs = 0;
    expect(await watch()).toHaveProperty('nowMs');
  });

  test('so no job runs when it stands before what the last run saw; resuming says that it is right', async () => {
    const watch = createDatabaseWatch({ sql: database.sql, clock: systemClock });
    await take(noon);
    await database.sql`UPDATE job_turns SET beat_at = now() + interval '1 day', turn_at = now() + interval '1 day'`;
    expect(await watch()).toMatchObject({ unfit: 'clock' });
    await resumeJob(database.sql, job);
    expect(await watch()).toHaveProperty('nowMs');
    expect(await refusal(new Date(Date.now() + 60_000), 0)).toBeUndefined();
  });

  test('and no job runs while the database takes no writes', async () => {
    const readOnly = openDatabase({
      url: `${database.url}${database.url.includes('?') ? '&' : '?'}default_transaction_read_only=on`,
      poolSize: 1,
      applicationName: 'worker',
    });
    pools.push(readOnly);
    expect(await createDatabaseWatch({ sql: readOnly.sql, clock: systemClock })()).toMatchObject({ unfit: 'standby' });
  });
});
