import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { required } from '#platform/errors.ts';
import { createFallbackStore } from '#quota/stores/fallback-store.ts';
import type { QuotaRule } from '#quota/stores/gcra.ts';
import { createMemoryStore } from '#quota/stores/memory/memory-store.ts';
import { createPostgresStore } from '#quota/stores/postgres-store.ts';
import type { BucketNames, QuotaStore } from '#quota/stores/quota-store.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { createManualClock } from '../support/manual-clock.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import { newBucket } from './store-contract.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 8 });
});
afterAll(() => database.close());

const windowMs = 60_000;
/** Each call that takes longer opens the circuit breaker. */
const storeTimeoutMs = 1_000;
const reportGapMs = 2_000;

function ruleOf(limit: number): QuotaRule {
  return { name: 'tested', limit, burst: limit, windowMs };
}

interface Server {
  readonly store: QuotaStore;
  /** The calls that the shared store got from this server. */
  readonly calls: Record<'charge' | 'peek' | 'record', number>;
  /** Waits until the shared store has responded to each report. */
  readonly untilReported: () => Promise<unknown>;
}

/** Servers that share one count in Postgres, on a manual clock. */
function openServers(count: number, clock: ManualClock): readonly Server[] {
  return Array.from({ length: count }, () => {
    const postgres = createPostgresStore({ sql: database.sql, clock, timeOf: 'caller' });
    const local = createMemoryStore(1_000);
    const calls = { charge: 0, peek: 0, record: 0 };
    const reports = new Set<Promise<unknown>>();
    const store = createFallbackStore({
      shared: {
        charge: (...call) => ((calls.charge += 1), postgres.charge(...call)),
        peek: (...call) => ((calls.peek += 1), postgres.peek(...call)),
        async record(...call) {
          calls.record += 1;
          const report = postgres.record(...call);
          reports.add(report);
          return report.finally(() => reports.delete(report));
        },
        refund: (...call) => postgres.refund(...call),
      },
      localOf: () => local,
      clock,
      serverCount: count,
      onChange: (state) => expect.unreachable(`the store is ${state}`),
    });
    return { store, calls, untilReported: () => Promise.all(reports) };
  });
}

/** Lets the time pass after which the servers report what they admitted. */
async function report(clock: ManualClock): Promise<void> {
  for (const durationMs of [reportGapMs, 1]) {
    clock.advance(durationMs);
    await setImmediate();
  }
}

/** The count in Postgres, without what servers have not reported. */
function counted(): QuotaStore {
  return createPostgresStore({ sql: database.sql, clock: systemClock, timeOf: 'caller' });
}

async function admitted(
  times: number,
  { store }: Server,
  charge: () => [BucketNames, QuotaRule, number],
): Promise<number> {
  const outcomes = await Promise.all(Array.from({ length: times }, async () => store.charge(...charge())));
  return outcomes.filter(({ allowed }) => allowed).length;
}

const steps = fc.array(
  fc.record({
    server: fc.nat(5),
    /** Hundredths of the limit. */
    share: fc.nat(30),
    gapMs: fc.oneof(
      { weight: 4, arbitrary: fc.nat(40) },
      { weight: 2, arbitrary: fc.integer({ min: 500, max: 4_000 }) },
      { weight: 1, arbitrary: fc.nat(40_000) },
    ),
  }),
  { minLength: 10, maxLength: 60, size: 'max' },
);

test('several servers together admit at most a twentieth more than a limit in any window', async () => {
  let fullest = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 500 }),
      steps,
      async (count, limit, sequence) => {
        const clock = createManualClock(Date.UTC(2026, 0, 1));
        const servers = openServers(count, clock);
        const [bucket, rule] = [newBucket(), ruleOf(limit)];
        const uses: { readonly atMs: number; readonly units: number }[] = [];
        for (const { server, share, gapMs } of sequence) {
          const chosen = servers[server % count];
          if (chosen === undefined) continue;
          const atMs = clock.monotonicMs();
          const times = 1 + Math.floor((share * limit) / 100);
          uses.push({ atMs, units: await admitted(times, chosen, () => [bucket, rule, atMs]) });
          if (gapMs > storeTimeoutMs) await Promise.all(servers.map(({ untilReported }) => untilReported()));
          clock.advance(gapMs);
          await setImmediate();
        }
        const most = Math.max(
          ...uses.map(({ atMs: fromMs }) =>
            uses
              .filter(({ atMs }) => atMs >= fromMs && atMs < fromMs + windowMs)
              .reduce((sum, { units }) => sum + units, 0),
          ),
        );
        expect(most).toBeLessThanOrEqual(limit * 1.05);
        fullest = Math.max(fullest, most / limit);
      },
    ),
    { numRuns: 150, interruptAfterTimeLimit: 15_000 },
  );
  // The limit was reached, so that the bound was tested.
  expect(fullest).toBeGreaterThanOrEqual(1);
});

test('charges of a bucket with much room cost one report for many, and are counted for all servers', async () => {
  const clock = createManualClock(Date.UTC(2026, 0, 1));
  const servers = openServers(2, clock);
  const first = required(servers[0], 'a server');
  const [bucket, rule] = [newBucket(), ruleOf(1_000)];
  const charge = (): [BucketNames, QuotaRule, number] => [bucket, rule, clock.monotonicMs()];
  expect(await admitted(1, first, charge)).toBe(1);
  expect(await admitted(20, first, charge)).toBe(20);
  expect(first.calls).toEqual({ charge: 1, peek: 0, record: 0 });
  await report(clock);
  expect(first.calls).toEqual({ charge: 1, peek: 0, record: 1 });
  await expect.poll(() => counted().peek(...charge())).toMatchObject({ allowed: true, remaining: 978 });
});

test('a bucket with little room is counted exactly', async () => {
  const clock = createManualClock(Date.UTC(2026, 0, 1));
  const servers = openServers(2, clock);
  const first = required(servers[0], 'a server');
  const [bucket, rule] = [newBucket(), ruleOf(100)];
  await first.store.charge(bucket, rule, clock.monotonicMs(), 95);
  expect(await admitted(20, first, () => [bucket, rule, clock.monotonicMs()])).toBe(5);
  expect(first.calls.record).toBe(0);
});

test('a refund of a charge that is not reported yet needs no call, and the charge is not reported', async () => {
  const clock = createManualClock(Date.UTC(2026, 0, 1));
  const servers = openServers(1, clock);
  const first = required(servers[0], 'a server');
  const [bucket, rule] = [newBucket(), ruleOf(1_000)];
  const atMs = clock.monotonicMs();
  await first.store.charge(bucket, rule, atMs);
  await first.store.charge(bucket, rule, atMs, 10);
  await first.store.refund(bucket, rule, atMs, 4);
  await report(clock);
  await expect
    .poll(() => counted().peek(bucket, rule, clock.monotonicMs()))
    .toMatchObject({ allowed: true, remaining: 992 });
});
