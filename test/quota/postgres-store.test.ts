import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import type { Outcome, QuotaRule } from '#quota/stores/gcra.ts';
import { createMemoryStore } from '#quota/stores/memory/memory-store.ts';
import { createPostgresStore } from '#quota/stores/postgres-store.ts';
import type { PostgresStore } from '#quota/stores/postgres-store.ts';
import type { BucketNames } from '#quota/stores/quota-store.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { describeStore, newBucket } from './store-contract.ts';

let database: TestDatabase;
let postgres: PostgresStore;
beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 6 });
  postgres = createPostgresStore({ sql: database.sql, clock: systemClock, timeOf: 'caller' });
});
afterAll(() => database.close());

describeStore('Postgres', () => postgres);

const nothing: Outcome = { allowed: true, remaining: 0, waitMs: 0, restoredInMs: 0 };

const rules = fc
  .tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 60 }), fc.constantFrom(60_000, 3_600_000))
  .map(([limit, burst, windowMs]): QuotaRule => ({ name: 'tested', limit, burst, windowMs }));
/** Gaps in thousandths of the window, costs in hundredths of the limit. */
const steps = fc.array(
  fc.record({
    act: fc.constantFrom<('charge' | 'peek' | 'refund')[]>('charge', 'charge', 'charge', 'peek', 'refund'),
    which: fc.nat(30),
    share: fc.oneof(fc.constant(0), fc.nat(100)),
    gap: fc.oneof(
      { weight: 4, arbitrary: fc.constant(0) },
      { weight: 3, arbitrary: fc.nat(20) },
      { weight: 1, arbitrary: fc.nat(1_200) },
    ),
  }),
  { minLength: 1, maxLength: 80, size: 'max' },
);

type Step = typeof steps extends fc.Arbitrary<readonly (infer One)[]> ? One : never;

interface Made {
  readonly bucket: BucketNames;
  readonly atMs: number;
  readonly cost: number;
}

/**
 * Runs the steps on both stores without waiting, so that Postgres gets them in one batch; returns pairs of their
 * outcomes.
 */
function runBoth(rule: QuotaRule, startMs: number, sequence: readonly Step[]): Promise<[Outcome, Outcome][]> {
  const memory = createMemoryStore(1_000);
  const buckets = [newBucket(), newBucket(), newBucket()];
  const made: Made[] = [];
  const outcomes: Promise<[Outcome, Outcome]>[] = [];
  let nowMs = Date.UTC(2026, 0, 1) + startMs;
  for (const { act, which, share, gap } of sequence) {
    nowMs += (gap * rule.windowMs) / 1_000 + gap / 7;
    if (act === 'refund') {
      for (const { bucket, atMs, cost } of made.splice(which % Math.max(1, made.length), 1)) {
        memory.refund(bucket, rule, atMs, cost);
        outcomes.push(postgres.refund(bucket, rule, atMs, cost).then(() => [nothing, nothing]));
      }
      continue;
    }
    const bucket = buckets[which % 3] ?? newBucket();
    const cost = 1 + Math.floor((share * (rule.limit - 1)) / 100);
    const expected = memory[act](bucket, rule, nowMs, cost);
    if (act === 'charge' && expected.allowed) made.push({ bucket, atMs: nowMs, cost });
    outcomes.push(postgres[act](bucket, rule, nowMs, cost).then((actual) => [actual, expected]));
  }
  return Promise.all(outcomes);
}

test('memory and Postgres return the same outcomes for any sequence of charges', async () => {
  await fc.assert(
    fc.asyncProperty(rules, fc.nat(100_000), steps, async (rule, startMs, sequence) => {
      for (const [actual, expected] of await runBoth(rule, startMs, sequence)) {
        expect({ ...actual, waitMs: 0, restoredInMs: 0 }).toEqual({ ...expected, waitMs: 0, restoredInMs: 0 });
        expect(actual.waitMs).toBeCloseTo(expected.waitMs, 3);
        expect(actual.restoredInMs).toBeCloseTo(expected.restoredInMs, 3);
      }
    }),
    { numRuns: 400, interruptAfterTimeLimit: 12_000 },
  );
});

test('a cost that a server has admitted is recorded even without room, and counts for one window', async () => {
  const rule: QuotaRule = { name: 'tested', limit: 10, burst: 10, windowMs: 60_000 };
  const [bucket, startMs] = [newBucket(), Date.UTC(2026, 0, 1)];
  await postgres.charge(bucket, rule, startMs, 10);
  expect(await postgres.record(bucket, rule, startMs + 30_000, 3)).toMatchObject({ remaining: 0 });
  expect(await postgres.charge(bucket, rule, startMs + 62_000, 8)).toMatchObject({ allowed: false });
  expect(await postgres.charge(bucket, rule, startMs + 62_000, 7)).toMatchObject({ allowed: true, remaining: 0 });
  expect(await postgres.charge(bucket, rule, startMs + 92_000, 3)).toMatchObject({ allowed: true });
});
