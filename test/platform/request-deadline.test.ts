import { expect, test } from 'vitest';
import { createBatcher } from '#platform/batcher.ts';
import { createRequestDeadlines, waitForDatabase } from '#platform/request-deadline.ts';
import { createMessageAppender } from '#domain/messages/message-appender.ts';
import type { MessageAppender } from '#domain/messages/message-appender.ts';
import { newUuid } from '#platform/ids.ts';
import { openDatabase } from '#storage/connection/database.ts';
import type { Database } from '#storage/connection/database.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import { errorCode } from '../support/error-code.ts';
import { createManualClock } from '../support/manual-clock.ts';
import type { ManualClock } from '../support/manual-clock.ts';

const timeoutMs = 1_000;
const never = (): Promise<never> => new Promise(() => undefined);

/** Advances the clock in steps, and lets the deadline check run, which sleeps twice per check. */
async function advance(clock: ManualClock, durationMs: number): Promise<void> {
  for (let passedMs = 0; passedMs < durationMs; passedMs += 25) {
    clock.advance(25);
    await new Promise(setImmediate);
  }
}

test('only the time a request waits for the database counts, and all its waits together', async () => {
  const clock = createManualClock(0);
  const deadline = createRequestDeadlines(clock, timeoutMs);
  const slowClient = deadline.run(async () => {
    await clock.sleep(10 * timeoutMs);
    return 'answered';
  });
  const waits = deadline.run(async () => {
    for (let wait = 0; wait < 10; wait++) await waitForDatabase(() => clock.sleep(timeoutMs / 5));
  });
  const refused = waits.then(() => 'answered', errorCode);
  await advance(clock, 2 * timeoutMs);
  expect(await refused).toBe('ServiceUnavailable');
  await advance(clock, 10 * timeoutMs);
  expect(await slowClient).toBe('answered');
});

test('a call that was abandoned while it waited for its batch is in no batch', async () => {
  const clock = createManualClock(0);
  const deadline = createRequestDeadlines(clock, timeoutMs);
  const batches: (readonly string[])[] = [];
  const ends: (() => void)[] = [];
  const call = createBatcher(async (calls: readonly string[]) => {
    batches.push(calls);
    await new Promise<void>((resolve) => ends.push(resolve));
    return calls;
  });
  const callInRequest = (text: string): Promise<unknown> => deadline.run(() => call(text)).catch(errorCode);
  const early = [callInRequest('sent'), callInRequest('queued')];
  await advance(clock, 1.5 * timeoutMs);
  expect(await Promise.all(early)).toEqual(['ServiceUnavailable', 'ServiceUnavailable']);
  const late = callInRequest('late');
  ends[0]?.();
  await expect.poll(() => ends.length).toBe(2);
  ends[1]?.();
  expect(await late).toBe('late');
  expect(batches).toEqual([['sent'], ['late']]);
});

interface BusyPool {
  readonly database: Database;
  readonly deadline: ReturnType<typeof createRequestDeadlines>;
  readonly clock: ManualClock;
  /** Releases the only connection. */
  readonly release: () => void;
  readonly close: () => Promise<void>;
}

/** Opens a pool of one connection, which is in use. */
async function openBusyPool(): Promise<BusyPool> {
  const test = await createTestDatabase({ poolSize: 1 });
  const database = openDatabase({ url: test.url, poolSize: 1, applicationName: 'busy' });
  await database.sql`CREATE TABLE written (name text)`;
  const clock = createManualClock(0);
  const reserved = await database.sql.reserve();
  return {
    database,
    clock,
    deadline: createRequestDeadlines(clock, timeoutMs),
    release: () => reserved.release(),
    close: async () => {
      await database.close();
      await test.close();
    },
  };
}

const writes: readonly [string, (database: Database) => Promise<unknown>][] = [
  ['a statement', ({ sql }) => sql`INSERT INTO written VALUES ('statement')`],
  [
    'a statement of kysely',
    ({ db }) =>
      db
        .insertInto('written' as never)
        .values({ name: 'kysely' } as never)
        .execute(),
  ],
  ['a transaction', ({ sql }) => sql.begin((tx) => tx`INSERT INTO written VALUES ('transaction')`)],
  [
    'a transaction of kysely',
    ({ db }) =>
      db.transaction().execute((tx) =>
        tx
          .insertInto('written' as never)
          .values({ name: 'kysely' } as never)
          .execute(),
      ),
  ],
];

test.for(writes)('%s that was abandoned while it waited for a connection has no effect later', async ([, write]) => {
  const busy = await openBusyPool();
  try {
    const refused = busy.deadline.run(() => write(busy.database)).then(() => 'stored', errorCode);
    await advance(busy.clock, 1.5 * timeoutMs);
    expect(await refused).toBe('ServiceUnavailable');
    busy.release();
    // The connection is usable again, after the statements that are left in the queue.
    for (let round = 0; round < 3; round++) expect(await busy.database.sql`SELECT * FROM written`).toEqual([]);
  } finally {
    await busy.close();
  }
});

test.for(['sql', 'kysely'] as const)(
  'a transaction of %s whose request is abandoned in between is rolled back',
  async (by) => {
    const busy = await openBusyPool();
    busy.release();
    const { sql, db } = busy.database;
    let resume = (): void => undefined;
    const pause = new Promise<void>((resolve) => (resume = resolve));
    const waiting = (): Promise<void> => waitForDatabase(() => pause).catch(() => undefined);
    try {
      const running = busy.deadline.run(() =>
        by === 'sql'
          ? sql.begin(async (tx) => {
              await tx`INSERT INTO written VALUES ('one')`;
              await waiting();
              await pause;
            })
          : db.transaction().execute(async (tx) => {
              await tx
                .insertInto('written' as never)
                .values({ name: 'one' } as never)
                .execute();
              await waiting();
              await pause;
            }),
      );
      const refused = running.then(() => 'stored', errorCode);
      await expect
        .poll(
          async () => {
            await advance(busy.clock, 100);
            return busy.clock.monotonicMs() > 1.5 * timeoutMs;
          },
          { timeout: 10_000 },
        )
        .toBe(true);
      resume();
      expect(await refused).toBe('ServiceUnavailable');
      await expect.poll(() => sql`SELECT * FROM written`).toEqual([]);
    } finally {
      await busy.close();
    }
  },
);

test('a message that was abandoned while it waited for its batch is not stored', async () => {
  const busy = await openBusyPool();
  const batches: number[] = [];
  const appender: MessageAppender = createMessageAppender({
    sql: busy.database.sql,
    timeBucketSeconds: 60,
    onStored: () => undefined,
    onBatch: (items) => void batches.push(items),
  });
  const message = { groupId: Buffer.alloc(16), member: Buffer.alloc(32), epoch: 0, body: Buffer.alloc(64) };
  try {
    const sent = Array.from({ length: 5 }, () =>
      busy.deadline
        .run(() => appender.append({ ...message, msgId: newUuid() }))
        .then(({ outcome }) => outcome, errorCode),
    );
    await advance(busy.clock, 1.5 * timeoutMs);
    expect(new Set(await Promise.all(sent))).toEqual(new Set(['ServiceUnavailable']));
    busy.release();
    const later = await appender.append({ ...message, msgId: newUuid() });
    expect(later.outcome).toBe('nonMember');
    expect(batches, 'of all that was appended').toEqual([1]);
  } finally {
    await busy.close();
  }
});

test('a request that never ends but does not wait for the database is not ended', async () => {
  const clock = createManualClock(0);
  const running = createRequestDeadlines(clock, timeoutMs).run(never);
  await advance(clock, 3 * timeoutMs);
  expect(await Promise.race([running, Promise.resolve('still there')])).toBe('still there');
});
