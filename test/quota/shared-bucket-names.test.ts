import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import type { BucketNamer } from '#quota/stores/keyed-bucket-names.ts';
import type { QuotaRule } from '#quota/stores/gcra.ts';
import { QuotaSubject } from '#quota/stores/quota-subject.ts';
import { createPostgresStore } from '#quota/stores/postgres-store.ts';
import type { PostgresStore } from '#quota/stores/postgres-store.ts';
import { createSharedBucketNames } from '#quota/stores/shared-bucket-names.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { createManualClock } from '../support/manual-clock.ts';

const alice = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const dayMs = 86_400_000;
const midnightMs = Date.UTC(2026, 5, 1);
const privacy = createPrivacy(parseKeyRing(newKeyRingText()));

/** The names of a server whose clock is `aheadMs` ahead. */
function namesAt(nowMs: number, aheadMs = 0): BucketNamer['nameOf'] {
  return createSharedBucketNames(privacy, createManualClock(nowMs + aheadMs)).nameOf;
}

describe('names that servers share', () => {
  test('are the same on every server, and reveal neither the account nor the row', () => {
    const noonMs = midnightMs + dayMs / 2;
    const name = namesAt(noonMs)('sendMessage', alice);
    expect(name).toEqual(namesAt(noonMs + 3_000_000)('sendMessage', alice));
    expect(name).toEqual({ current: expect.stringMatching(/^[0-9a-f]{32}$/), previous: undefined });
    expect(namesAt(noonMs)('getMessages', alice).current).not.toBe(name.current);
    const other = createSharedBucketNames(createPrivacy(parseKeyRing(newKeyRingText())), createManualClock(noonMs));
    expect(other.nameOf('sendMessage', alice).current).not.toBe(name.current);
  });

  test('of two days are different, and the previous one is returned for a while after midnight', () => {
    const before = namesAt(midnightMs - dayMs / 2)('sendMessage', alice);
    const after = namesAt(midnightMs + 30_000)('sendMessage', alice);
    expect(after.previous).toBe(before.current);
    expect(after.current).not.toBe(before.current);
    expect(namesAt(midnightMs + 200_000)('sendMessage', alice).previous).toBeUndefined();
  });
});

test('a subject has the names of each moment of two days, although it keeps them', () => {
  const clock = createManualClock(midnightMs - dayMs);
  const namer = createSharedBucketNames(privacy, clock);
  const subject = new QuotaSubject(alice);
  let computed = 0;
  const counting: BucketNamer = {
    generationOf: namer.generationOf,
    nameOf: (...parts) => (computed++, namer.nameOf(...parts)),
  };
  // The last step sets the clock back by a day.
  const steps = [...Array.from({ length: 2 * 1_440 }, () => 60_000), -dayMs];
  for (const stepMs of steps) {
    clock.advance(stepMs);
    for (const quota of ['sendMessage', 'keyPackageTarget'] as const) {
      expect(subject.namesOf(counting, quota)).toEqual(namer.nameOf(quota, alice));
    }
  }
  expect(computed).toBeLessThan(20);
});

describe('around midnight, on the shared store', () => {
  let database: TestDatabase;
  let store: PostgresStore;
  beforeAll(async () => {
    database = await createTestDatabase({ poolSize: 4 });
    store = createPostgresStore({ sql: database.sql, clock: systemClock, timeOf: 'caller' });
  });
  afterAll(() => database.close());

  const rule: QuotaRule = { name: 'sendMessage', limit: 10, burst: 10, windowMs: 60_000 };

  test.each([
    ['agree', [0, 0]],
    ['are 50 seconds apart', [-20_000, 30_000]],
    ['are 50 seconds apart the other way', [30_000, -20_000]],
  ])('no caller gets a second limit from servers whose clocks %s', async (label, aheads) => {
    const times: number[] = [];
    for (let second = -100; second < 150; second += 1) {
      const nowMs = midnightMs + second * 1_000;
      for (const aheadMs of aheads) {
        const bucket = namesAt(nowMs, aheadMs)('sendMessage', `${alice} ${label}`);
        if ((await store.charge(bucket, rule, nowMs)).allowed) times.push(second);
      }
    }
    const most = Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + 60).length));
    expect(most).toBe(10);
    expect(times.length).toBeGreaterThanOrEqual(40);
  });

  test('two servers that charge the same names in opposite order at once wait for each other', async () => {
    const other = createPostgresStore({ sql: database.sql, clock: systemClock, timeOf: 'caller' });
    const people = Array.from({ length: 200 }, (_, index) => `did:plc:${String(index).padStart(24, 'a')}`);
    const chargeAll = (of: PostgresStore, dids: readonly string[], aheadMs: number) =>
      dids.map((did) => of.charge(namesAt(midnightMs, aheadMs)('sendMessage', did), rule, midnightMs, 6));
    for (let round = 0; round < 5; round++) {
      const outcomes = await Promise.all([
        ...chargeAll(store, people, -10_000),
        ...chargeAll(other, people.toReversed(), 10_000),
      ]);
      expect(outcomes.filter(({ allowed }) => allowed)).toHaveLength(round === 0 ? people.length : 0);
    }
  });
});
