import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { createFallbackStore } from '#quota/stores/fallback-store.ts';
import type { QuotaRule } from '#quota/stores/gcra.ts';
import { createMemoryStore } from '#quota/stores/memory/memory-store.ts';
import type { MemoryStore } from '#quota/stores/memory/memory-store.ts';
import { createPostgresStore } from '#quota/stores/postgres-store.ts';
import type { StoreState } from '#quota/stores/circuit-breaker.ts';
import type { BucketNames, QuotaStore, SharedQuotaStore } from '#quota/stores/quota-store.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { createManualClock } from '../support/manual-clock.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import { newBucket } from './store-contract.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 6 });
});
afterAll(() => database.close());

const rule: QuotaRule = { name: 'tested', limit: 10, burst: 10, windowMs: 60_000 };

const renameTableAway = async (): Promise<unknown> => database.sql`ALTER TABLE quota_rows RENAME TO quota_rows_away`;
const restoreTable = async (): Promise<unknown> => database.sql`ALTER TABLE quota_rows_away RENAME TO quota_rows`;

/** One server's store on the shared table, with a manual clock and a record of its state changes. */
function openServer({ serverCount = 1, clock = createManualClock(Date.UTC(2026, 0, 1)) }): {
  store: QuotaStore;
  local: MemoryStore;
  clock: ManualClock;
  states: StoreState[];
  roundTrips: () => number;
} {
  const postgres = createPostgresStore({ sql: database.sql, clock, timeOf: 'caller' });
  const local = createMemoryStore(1_000);
  const states: StoreState[] = [];
  let roundTrips = 0;
  const shared: SharedQuotaStore = {
    ...postgres,
    charge: (...charge) => ((roundTrips += 1), postgres.charge(...charge)),
  };
  const store = createFallbackStore({
    shared,
    localOf: () => local,
    clock,
    serverCount,
    onChange: (state) => void states.push(state),
  });
  return { store, local, clock, states, roundTrips: () => roundTrips };
}

async function admitted(times: number, { store, clock }: Server, bucket: BucketNames): Promise<number> {
  let count = 0;
  for (let time = 0; time < times; time++)
    if ((await store.charge(bucket, rule, clock.monotonicMs())).allowed) count += 1;
  return count;
}

type Server = ReturnType<typeof openServer>;

describe('while the shared store is unavailable', () => {
  test('a server counts what it admitted before', async () => {
    const server = openServer({});
    const bucket = newBucket();
    expect(await admitted(7, server, bucket)).toBe(7);
    await renameTableAway();
    try {
      expect(await admitted(20, server, bucket)).toBe(3);
      server.clock.advance(61_500);
      expect(await admitted(20, server, bucket)).toBe(10);
    } finally {
      await restoreTable();
    }
    expect(server.states).toEqual(['local']);
  });

  test('servers together admit the limit: each its share, minus what it saw others use', async () => {
    const clock = createManualClock(Date.UTC(2026, 0, 1));
    const [first, second] = [openServer({ serverCount: 2, clock }), openServer({ serverCount: 2, clock })];
    const [even, uneven] = [newBucket('even'), newBucket('uneven')];
    for (let round = 0; round < 3; round++) {
      await admitted(1, first, even);
      await admitted(1, second, even);
    }
    await admitted(9, first, uneven);
    await admitted(1, second, uneven);
    await renameTableAway();
    try {
      expect(await admitted(20, first, even)).toBe(2);
      expect(await admitted(20, second, even)).toBe(2);
      expect(await admitted(20, first, uneven)).toBe(0);
      expect(await admitted(20, second, uneven)).toBe(0);
      clock.advance(61_500);
      expect(await admitted(20, first, uneven)).toBe(5);
      expect(await admitted(20, second, uneven)).toBe(5);
    } finally {
      await restoreTable();
    }
  });

  test('it is probed once a second, and its recovery is reported once', async () => {
    const server = openServer({});
    await renameTableAway();
    try {
      for (let tenth = 0; tenth < 30; tenth++) {
        await server.store.charge(newBucket(), rule, server.clock.monotonicMs());
        server.clock.advance(100);
      }
      expect(server.roundTrips()).toBeLessThanOrEqual(4);
    } finally {
      await restoreTable();
    }
    server.clock.advance(1_000);
    for (let again = 0; again < 5; again++) await server.store.charge(newBucket(), rule, server.clock.monotonicMs());
    expect(server.states).toEqual(['local', 'shared']);
    expect(server.roundTrips()).toBeGreaterThan(6);
  });

  test('a store that hangs delays requests only until the timeout, and admits no more than the limit', async () => {
    const server = { ...openServer({}), clock: systemClock };
    const postgres = createPostgresStore({ sql: database.sql, clock: systemClock, timeOf: 'database' });
    const store = createFallbackStore({
      shared: postgres,
      localOf: () => server.local,
      clock: systemClock,
      serverCount: 1,
      onChange: (state) => void server.states.push(state),
    });
    const bucket = newBucket();
    await store.charge(bucket, rule, systemClock.monotonicMs());
    await database.sql.begin(async (tx) => {
      await tx`LOCK TABLE quota_rows IN ACCESS EXCLUSIVE MODE`;
      const startedMs = systemClock.monotonicMs();
      const outcomes = await Promise.all(
        Array.from({ length: 30 }, async () => store.charge(bucket, rule, systemClock.monotonicMs())),
      );
      expect(systemClock.monotonicMs() - startedMs).toBeLessThan(3_000);
      expect(outcomes.filter(({ allowed }) => allowed)).toHaveLength(9);
    });
    expect(server.states).toEqual(['local']);
  });
});

describe('after the shared store has recovered', () => {
  test('both counts must have room for one window', async () => {
    const server = openServer({});
    const [bucket, other] = [newBucket(), newBucket()];
    await renameTableAway();
    try {
      expect(await admitted(8, server, bucket)).toBe(8);
    } finally {
      await restoreTable();
    }
    server.clock.advance(1_500);
    await server.store.charge(other, rule, server.clock.monotonicMs());
    expect(server.states).toEqual(['local', 'shared']);
    expect(await admitted(20, server, bucket)).toBe(2);
    server.clock.advance(62_500);
    expect(await admitted(20, server, bucket)).toBe(10);
  });
});

describe('a refused bucket', () => {
  test('costs no round trip until the wait is over, and is then admitted', async () => {
    const server = openServer({});
    const bucket = newBucket();
    await admitted(10, server, bucket);
    const { waitMs } = await server.store.charge(bucket, rule, server.clock.monotonicMs());
    const before = server.roundTrips();
    const retryAfterMs = Math.ceil(waitMs / 1_000) * 1_000;
    server.clock.advance(retryAfterMs - 1_000);
    expect(await admitted(50, server, bucket)).toBe(0);
    expect(server.roundTrips()).toBe(before);
    server.clock.advance(1_000);
    expect((await server.store.charge(bucket, rule, server.clock.monotonicMs())).allowed).toBe(true);
  });

  test('may still make a cheaper charge, and is admitted after a refund', async () => {
    const { store, clock } = openServer({});
    const bucket = newBucket();
    const nowMs = clock.monotonicMs();
    await store.charge(bucket, rule, nowMs, 6);
    expect(await store.charge(bucket, rule, nowMs, 5)).toMatchObject({ allowed: false });
    expect(await store.charge(bucket, rule, nowMs, 4)).toMatchObject({ allowed: true });
    expect(await store.charge(bucket, rule, nowMs, 2)).toMatchObject({ allowed: false });
    await store.refund(bucket, rule, nowMs, 4);
    expect(await store.charge(bucket, rule, nowMs, 4)).toMatchObject({ allowed: true });
  });
});

test('two servers that lose the store under load and recover it admit at most a fifth more in any window', async () => {
  const quick: QuotaRule = { name: 'quick', limit: 60, burst: 60, windowMs: 1_500 };
  const servers = [0, 1].map(() =>
    createFallbackStore({
      shared: createPostgresStore({ sql: database.sql, clock: systemClock, timeOf: 'database' }),
      localOf: (
        (local) => () =>
          local
      )(createMemoryStore(1_000)),
      clock: systemClock,
      serverCount: 2,
      onChange: (state) => void states.push(state),
    }),
  );
  const states: StoreState[] = [];
  const bucket = newBucket();
  const times: number[] = [];
  const startedMs = systemClock.monotonicMs();
  const sendLoad = async (store: QuotaStore): Promise<void> => {
    while (systemClock.monotonicMs() - startedMs < 6_000) {
      const nowMs = systemClock.monotonicMs();
      if ((await store.charge(bucket, quick, nowMs)).allowed) times.push(nowMs - startedMs);
      await systemClock.sleep(5);
    }
  };
  const loads = servers.flatMap((store) => [sendLoad(store), sendLoad(store)]);
  await systemClock.sleep(2_000);
  await renameTableAway();
  await systemClock.sleep(2_000);
  await restoreTable();
  await Promise.all(loads);
  expect(states.toSorted()).toEqual(['local', 'local', 'shared', 'shared']);
  const most = Math.max(
    ...times.map((fromMs) => times.filter((atMs) => atMs >= fromMs && atMs < fromMs + quick.windowMs).length),
  );
  expect(most).toBeLessThanOrEqual(quick.limit * 1.2);
  // Requests are admitted in each phase.
  for (const fromMs of [0, 2_000, 4_000]) {
    expect(times.filter((atMs) => atMs >= fromMs && atMs < fromMs + 2_000).length).toBeGreaterThan(10);
  }
});
