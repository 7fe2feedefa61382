import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareLogPositions } from '#domain/events/event.ts';
import { memberPseudonym } from '#domain/membership/members/member-pseudonym.ts';
import { systemClock } from '#platform/clock.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import type { Sql } from '#storage/connection/database.ts';
import { randomPeople, sendRandom, startDomainHarness } from '../support/domain-harness.ts';
import type { DomainHarness, TestConversation } from '../support/domain-harness.ts';
import { startLiveReader } from './live-reader.ts';
import type { LiveReader, TestListener } from './live-reader.ts';

let harness: DomainHarness;
const readers: LiveReader[] = [];
beforeAll(async () => {
  harness = await startDomainHarness({ poolSize: 12 });
});
afterAll(async () => {
  await Promise.all(readers.map((reader) => reader.stop()));
  await harness.close();
  // An error that a tail reports in any test above fails the file.
  const errors = readers.flatMap((reader) => reader.errors);
  if (errors.length > 0) throw new AggregateError(errors);
});

async function startReader(options: { poolSize: number; onWrite?: () => void }): Promise<LiveReader> {
  const reader = await startLiveReader(harness, options);
  readers.push(reader);
  return reader;
}

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + 10_000;
  while (!condition() && systemClock.monotonicMs() < deadlineMs) await systemClock.sleep(5);
  expect(condition()).toBe(true);
}

/**
 * Watches the only connection of a reader in pg_stat_activity.
 * @returns a function that ends the watch and returns the number of statements that were seen to start.
 */
async function watchStatements({ server }: LiveReader): Promise<() => Promise<number>> {
  const [backend] = await server.sql<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
  const starts = new Set<string>();
  let isWatching = true;
  const watching = (async () => {
    while (isWatching) {
      const [row] = await harness.database.sql<{ start: string }[]>`
        SELECT query_start::text AS start FROM pg_stat_activity WHERE pid = ${backend?.pid ?? 0}`;
      if (row !== undefined) starts.add(row.start);
      await systemClock.sleep(1);
    }
  })();
  return async () => {
    isWatching = false;
    await watching;
    // The first start is that of the statement above.
    return starts.size - 1;
  };
}

/** Messages that fall to `listener` according to the database. */
async function storedAfter({ attachedAt }: TestListener, groupIds: readonly Buffer[]) {
  const rows = await harness.database.sql<
    { position: number; groupId: Buffer; eventNo: number; body: Buffer | null }[]
  >`
    SELECT e.position, e.group_id AS "groupId", e.event_no AS "eventNo", m.body
    FROM events e LEFT JOIN messages m ON m.group_id = e.group_id AND m.seq = e.seq
    ORDER BY e.position, e.group_id, e.event_no`;
  return rows.filter(
    (row) => groupIds.some((groupId) => groupId.equals(row.groupId)) && compareLogPositions(row, attachedAt) > 0,
  );
}

const nameOf = ({ position, eventNo }: { position: number; eventNo: number }): string => `${position} ${eventNo}`;

test('a server without subscribers runs no statement for the log, whatever is written', async () => {
  const [alice = ''] = randomPeople(1);
  const conversation = await harness.createConversation([alice]);
  const reader = await startReader({ poolSize: 1 });
  const listener = await reader.listen(alice, [conversation.groupId]);
  listener.close();
  await systemClock.sleep(600);
  const count = await watchStatements(reader);
  for (let nth = 0; nth < 10; nth++) {
    await sendRandom({ ...harness.server, appender: reader.server.appender }, alice, conversation);
    reader.tail.wake();
    await systemClock.sleep(120);
  }
  expect(await count()).toBe(0);
});

test('a tail with subscribers reads the log only at slow polls, also while this server stores messages', async () => {
  const [alice = ''] = randomPeople(1);
  const conversation = await harness.createConversation([alice]);
  const reader = await startReader({ poolSize: 1 });
  const listener = await reader.listen(alice, [conversation.groupId]);
  const writer = { ...harness.server, appender: reader.server.appender };
  await sendRandom(writer, alice, conversation);
  await until(() => listener.received.length === 1);
  await systemClock.sleep(100);
  const count = await watchStatements(reader);
  const startedMs = systemClock.monotonicMs();
  for (let nth = 0; nth < 50; nth++) {
    await sendRandom(writer, alice, conversation);
    await systemClock.sleep(40);
  }
  await until(() => listener.received.length === 51);
  // A poll that falls into a write is repeated once.
  const polls = 2 * (Math.ceil((systemClock.monotonicMs() - startedMs) / 500) + 1);
  expect(await count()).toBeLessThanOrEqual(polls);
  listener.close();
});

test('a subscriber that attaches to an idle tail gets the events of a transaction that was open then', async () => {
  const [alice = ''] = randomPeople(1);
  const conversation = await harness.createConversation([alice]);
  const reader = await startReader({ poolSize: 2 });
  const held = await harness.server.sql.reserve();
  await held`BEGIN`;
  await appendIn(held, conversation, alice);
  const listener = await reader.listen(alice, [conversation.groupId]);
  await systemClock.sleep(50);
  expect(listener.received).toEqual([]);
  await held`COMMIT`;
  held.release();
  await until(() => listener.received.length === 1);
  listener.close();
});

async function appendIn(sql: Sql, conversation: TestConversation, did: string): Promise<void> {
  const member = memberPseudonym(harness.privacy, conversation.groupId, did);
  await sql`
    SELECT * FROM append_messages(
      ARRAY[${conversation.groupId}::bytea], ARRAY[${member}::bytea], ARRAY[0::bigint], ARRAY[${newUuid()}::text],
      ARRAY[0], ARRAY[512], ${newSecret(512)}::bytea, 60)`;
}

/** Writes in transactions of its own, some of which stay open for a while or roll back, and notifies nobody. */
async function writeUnreported(sql: Sql, conversations: readonly TestConversation[], did: string): Promise<void> {
  for (let round = 0; round < 12; round++) {
    const pick = newSecret(3);
    const conversation = conversations[(pick[1] ?? 0) % conversations.length];
    if (conversation === undefined) return;
    const session = await sql.reserve();
    await session`BEGIN`;
    await appendIn(session, conversation, did);
    await systemClock.sleep((pick[2] ?? 0) % 40);
    await session.unsafe((pick[0] ?? 0) % 3 > 0 ? 'COMMIT' : 'ROLLBACK');
    session.release();
    await systemClock.sleep((pick[2] ?? 0) % 20);
  }
}

// Safe because a position is delivered without a read only if all positions before it were delivered (stored-messages.ts).
test(
  'listeners of two servers get every event once, in order and whole, from their attachment on, while many write',
  { timeout: 60_000 },
  async () => {
    const [alice = ''] = randomPeople(1);
    const conversations = await Promise.all(Array.from({ length: 6 }, () => harness.createConversation([alice])));
    const groupIds = conversations.map(({ groupId }) => groupId);
    const pair: LiveReader[] = [];
    for (const other of [1, 0])
      pair.push(await startReader({ poolSize: 4, onWrite: () => void setTimeout(() => pair[other]?.tail.wake(), 5) }));
    const { sql } = harness.addServer(6);
    const listeners: TestListener[] = [];
    const attaching = (async () => {
      for (let nth = 0; nth < 20; nth++) {
        const reader = pair[nth % 2];
        if (reader !== undefined) listeners.push(await reader.listen(alice, groupIds.slice(nth % 3)));
        await systemClock.sleep(40);
      }
    })();
    const sending = pair.flatMap(({ server }) =>
      Array.from({ length: 8 }, async (_, worker) => {
        for (let nth = 0; nth < 40; nth++) {
          await sendRandom(server, alice, { id: conversations[(worker + nth) % 6]?.id ?? '' });
          await systemClock.sleep((newSecret(1)[0] ?? 0) % 30);
        }
      }),
    );
    const unreported = Array.from({ length: 4 }, () => writeUnreported(sql, conversations, alice));
    await Promise.all([...sending, ...unreported, attaching]);
    const expected = await Promise.all(
      listeners.map((listener, nth) => storedAfter(listener, groupIds.slice(nth % 3))),
    );
    await until(() => listeners.every(({ received }, nth) => received.length >= (expected[nth]?.length ?? 0)));
    await systemClock.sleep(100);
    for (const [nth, { received }] of listeners.entries()) {
      expect(received.map(nameOf)).toEqual(expected[nth]?.map(nameOf));
      expect(
        received.every(
          ({ body }, at) => Buffer.compare(body ?? Buffer.of(), expected[nth]?.[at]?.body ?? Buffer.of()) === 0,
        ),
      ).toBe(true);
    }
    expect(expected[0]?.length).toBeGreaterThan(600);
    listeners.forEach((listener) => listener.close());
  },
);

test('a tail whose memory of stored messages is full reads them from the log', { timeout: 30_000 }, async () => {
  const [alice = ''] = randomPeople(1);
  const [slow, fast] = [await harness.createConversation([alice]), await harness.createConversation([alice])];
  const reader = await startReader({ poolSize: 2 });
  const listener = await reader.listen(alice, [slow.groupId, fast.groupId]);
  const held = await harness.server.sql.reserve();
  await held`BEGIN`;
  await appendIn(held, slow, alice);
  const count = 12_000_000 / 262_144;
  for (let nth = 0; nth < count; nth++) {
    const message = { groupId: fast.groupId, member: memberPseudonym(harness.privacy, fast.groupId, alice), epoch: 0 };
    await reader.server.appender.append({ ...message, msgId: newUuid(), body: newSecret(262_144) });
  }
  expect(listener.received).toEqual([]);
  await held`COMMIT`;
  held.release();
  const expected = await storedAfter(listener, [slow.groupId, fast.groupId]);
  await until(() => listener.received.length >= expected.length);
  expect(listener.received.map(nameOf)).toEqual(expected.map(nameOf));
  listener.close();
});
