import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareLogPositions, positionBefore } from '#domain/events/event.ts';
import type { EventRow, LogPosition } from '#domain/events/event.ts';
import { readLogEnd, readReplay, readTail } from '#domain/events/read-events.ts';
import { memberPseudonym } from '#domain/membership/members/member-pseudonym.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import type { Sql, SqlTx } from '#storage/connection/database.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import { randomPeople, sendRandom, startDomainHarness } from '../support/domain-harness.ts';
import type { DomainHarness, TestConversation } from '../support/domain-harness.ts';

let harness: DomainHarness;
beforeAll(async () => {
  harness = await startDomainHarness({ poolSize: 16 });
});
afterAll(() => harness.close());

/** Reads as a server's tail does: every final event after `from`, page by page. */
async function readOn(from: LogPosition, limit = 7, gaps: 'pass' | 'await' = 'pass'): Promise<EventRow[]> {
  const events: EventRow[] = [];
  for (;;) {
    const page = await readTail(harness.server, events.at(-1) ?? from, { limit, gaps });
    events.push(...page.events);
    if (page.events.length === 0) return events;
  }
}

/** The end of the log. */
async function readToEnd(): Promise<LogPosition> {
  return (await readOn(positionBefore(0), 500)).at(-1) ?? positionBefore(0);
}

/** Polls until `count` events after `from` have been read, or ten seconds are over. */
async function readUntil(from: LogPosition, count: number): Promise<EventRow[]> {
  const events: EventRow[] = [];
  const deadlineMs = harness.server.clock.monotonicMs() + 10_000;
  while (events.length < count && harness.server.clock.monotonicMs() < deadlineMs) {
    events.push(...(await readOn(events.at(-1) ?? from)));
    await harness.server.clock.sleep(5);
  }
  return events;
}

/** store_messages in a transaction of the test's own. */
async function appendIn(sql: Sql | SqlTx, conversation: TestConversation, did: string): Promise<number> {
  const member = memberPseudonym(harness.privacy, conversation.groupId, did);
  const rows = await sql<{ outcome: string; seq: number }[]>`
    SELECT outcome, seq FROM store_messages(
      ARRAY[${conversation.groupId}::bytea], ARRAY[${member}::bytea], ARRAY[0::bigint], ARRAY[${newUuid()}::text],
      ARRAY[${newSecret(512)}::bytea], 60)`;
  expect(rows[0]?.outcome).toBe('stored');
  return rows[0]?.seq ?? 0;
}

function seqsOf(events: readonly EventRow[], conversation: TestConversation): (number | null)[] {
  return events.filter((event) => event.groupId.equals(conversation.groupId)).map(({ seq }) => seq);
}

// Safe because a writer's lock contains a position below its own, and readers stop at the lowest position in a lock
// (migrations/0017).
test('events of an open transaction are not skipped, although later events are visible', async () => {
  const [alice = ''] = randomPeople(1);
  const slow = await harness.createConversation([alice]);
  const fast = await harness.createConversation([alice]);
  const from = await readToEnd();
  const end = await readLogEnd(harness.server);
  const held = await harness.server.sql.reserve();
  await held`BEGIN`;
  await appendIn(held, slow, alice);
  for (let index = 0; index < 10; index++) await sendRandom(harness.server, alice, { id: fast.id });

  const visible = await harness.database.sql`SELECT 1 FROM events WHERE group_id = ${fast.groupId} AND seq IS NOT NULL`;
  expect(visible, 'a reader that ignores open writers would read these and pass the open one').toHaveLength(10);
  expect(await readOn(from)).toEqual([]);
  expect(await readLogEnd(harness.server)).toEqual(end);
  expect((await readTail(harness.server, from, { limit: 1, gaps: 'pass' })).isHeld).toBe(true);

  await held`COMMIT`;
  held.release();
  const events = await readUntil(from, 11);
  expect(seqsOf(events, slow)).toEqual([1]);
  expect(seqsOf(events, fast)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(events).toEqual(events.toSorted(compareLogPositions));
});

// Safe because readers check for a lock that only writers of events hold.
test('a transaction that has an id and writes no events delays no event, in this database or another', async () => {
  const [alice = ''] = randomPeople(1);
  const conversation = await harness.createConversation([alice]);
  const from = await readToEnd();
  const other = await createTestDatabase({ schema: 'empty', poolSize: 1 });
  const foreign = [await harness.database.sql.reserve(), await other.sql.reserve()];
  try {
    for (const session of foreign) await session`BEGIN`;
    for (const session of foreign) await session`SELECT pg_current_xact_id()`;
    // All other kinds of locks that the service and its queue take.
    await foreign[0]?.unsafe(`
      SELECT pg_advisory_xact_lock(${20_042n << 48n}), pg_advisory_xact_lock_shared(20042, 1), pg_advisory_xact_lock_shared(5)`);
    await foreign[1]?.unsafe(`SELECT pg_advisory_xact_lock_shared(${20_042n << 48n})`);
    await sendRandom(harness.server, alice, { id: conversation.id });
    expect(seqsOf(await readOn(from), conversation)).toEqual([1]);
    expect((await readTail(harness.server, from, { limit: 1, gaps: 'pass' })).isHeld).toBe(false);
  } finally {
    for (const session of foreign) await session`ROLLBACK`;
    for (const session of foreign) session.release();
    await other.close();
  }
});

// Safe because a position is taken when the conversation's lock is held, and the lock is released after the commit.
test('positions rise within a conversation, also when the later event is of the older transaction', async () => {
  const [alice = ''] = randomPeople(1);
  const conversation = await harness.createConversation([alice]);
  const from = await readToEnd();
  const older = await harness.server.sql.reserve();
  await older`BEGIN`;
  await older`SELECT pg_current_xact_id()`;
  const first = await sendRandom(harness.server, alice, { id: conversation.id });
  expect(await readOn(from)).toHaveLength(1);
  const second = await appendIn(older, conversation, alice);
  await older`COMMIT`;
  older.release();
  expect([first.seq, second]).toEqual([1, 2]);
  const events = await readUntil(from, 2);
  expect(seqsOf(events, conversation)).toEqual([1, 2]);
  expect(events[1]?.position).toBeGreaterThan(events[0]?.position ?? Infinity);
});

// Safe because every writer that has not ended holds its own lock.
test('readers stop at the lowest position of all open writers, which end in any order', async () => {
  const [alice = ''] = randomPeople(1);
  const conversations = await Promise.all(Array.from({ length: 6 }, () => harness.createConversation([alice])));
  const from = await readToEnd();
  const writers = [];
  for (const conversation of conversations) {
    const session = await harness.server.sql.reserve();
    await session`BEGIN`;
    await appendIn(session, conversation, alice);
    writers.push(session);
  }
  const readable: number[] = [];
  for (const [index, end] of [
    [2, 'COMMIT'],
    [1, 'ROLLBACK'],
    [0, 'COMMIT'],
    [5, 'COMMIT'],
    [3, 'COMMIT'],
    [4, 'ROLLBACK'],
  ] as const) {
    await writers[index]?.unsafe(end);
    writers[index]?.release();
    readable.push((await readOn(from)).length);
  }
  expect(readable).toEqual([0, 0, 2, 2, 3, 4]);
});

test('the unused position of a rolled back writer does not stop the tail, and its seq is used by the next message', async () => {
  const [alice = ''] = randomPeople(1);
  const conversation = await harness.createConversation([alice]);
  const from = await readToEnd();
  const doomed = await harness.server.sql.reserve();
  await doomed`BEGIN`;
  expect(await appendIn(doomed, conversation, alice)).toBe(1);
  const waiting = sendRandom(harness.server, alice, { id: conversation.id });
  await doomed`ROLLBACK`;
  doomed.release();
  expect((await waiting).seq).toBe(1);
  expect(seqsOf(await readUntil(from, 1), conversation)).toEqual([1]);
});

/**
 * Counts the events that appeared at or before a position that a reader which ignores open writers would have passed.
 */
function countPassed(sql: Sql): { sample(): Promise<void>; readonly passed: number } {
  let seen = { end: 0, count: 0 };
  let passed = 0;
  return {
    async sample() {
      const [row] = await sql<{ end: number; count: number; before: number }[]>`
        SELECT coalesce(max(position), 0) AS end, count(*), count(*) FILTER (WHERE position <= ${seen.end}::bigint) AS before
        FROM events`;
      if (row === undefined) return;
      passed += row.before - seen.count;
      seen = row;
    },
    get passed() {
      return passed;
    },
  };
}

test('tails that read during the work of 24 writers, some of which roll back, get every event once and in order', async () => {
  const [alice = ''] = randomPeople(1);
  const conversations = await Promise.all(Array.from({ length: 12 }, () => harness.createConversation([alice])));
  const { sql } = harness.addServer(24);
  const from = await readToEnd();
  let writing = true;
  const tail = async (pageSize: number): Promise<EventRow[]> => {
    const delivered: EventRow[] = [];
    for (let sample = 0; writing; sample++) {
      const gaps = sample % 3 === 0 ? 'pass' : 'await';
      delivered.push(...(await readOn(delivered.at(-1) ?? from, pageSize, gaps)));
      await harness.server.clock.sleep(1);
    }
    return delivered;
  };
  const naive = countPassed(harness.database.sql);
  const watch = async (): Promise<void> => {
    while (writing) await naive.sample();
  };
  let stored = 0;
  const writer = async (): Promise<void> => {
    for (let round = 0; round < 20; round++) {
      const pick = newSecret(3);
      const isCommitted = (pick[0] ?? 0) % 5 > 0;
      const session = await sql.reserve();
      await session`BEGIN`;
      const conversation = conversations[(pick[1] ?? 0) % conversations.length];
      if (conversation !== undefined) await appendIn(session, conversation, alice);
      await harness.server.clock.sleep((pick[2] ?? 0) % 8);
      await session.unsafe(isCommitted ? 'COMMIT' : 'ROLLBACK');
      session.release();
      if (isCommitted) stored += 1;
    }
  };
  const reading = Promise.all([tail(5), tail(100), watch()]);
  await Promise.all(Array.from({ length: 24 }, () => writer()));
  writing = false;
  for (const delivered of (await reading).slice(0, 2) as EventRow[][]) {
    const events = [...delivered, ...(await readUntil(delivered.at(-1) ?? from, stored - delivered.length))];
    expect(events).toHaveLength(stored);
    expect(delivered.length, 'the tail read nothing while others wrote').toBeGreaterThan(stored / 4);
    expect(events).toEqual(events.toSorted(compareLogPositions));
    for (const conversation of conversations) {
      const seqs = seqsOf(events, conversation);
      expect(seqs).toEqual(seqs.map((_, index) => index + 1));
    }
  }
  expect(
    naive.passed,
    'too few events became visible after a later one, so the test has proved little',
  ).toBeGreaterThan(50);
});

test('a replay of some conversations between two log positions equals what the tail delivered of them', async () => {
  const people = randomPeople(3);
  const from = await readToEnd();
  const conversations = await Promise.all(Array.from({ length: 4 }, () => harness.createConversation(people)));
  await Promise.all(
    Array.from({ length: 80 }, (_, index) =>
      sendRandom(harness.server, people[index % 3] ?? '', { id: conversations[index % 4]?.id ?? '' }),
    ),
  );
  const all = await readUntil(from, 80 + 4 * 3);
  expect(all).toHaveLength(92);
  const wanted = conversations.slice(1, 3).map(({ groupId }) => groupId);
  const after = all[20] ?? from;
  const upTo = all[75] ?? from;
  const expected = all.slice(21, 76).filter(({ groupId }) => wanted.some((id) => id.equals(groupId)));
  const replayed: EventRow[] = [];
  for (;;) {
    const page = await readReplay(harness.server, {
      groupIds: wanted,
      after: replayed.at(-1) ?? after,
      upTo,
      limit: 6,
    });
    replayed.push(...page);
    if (page.length < 6) break;
  }
  expect(replayed).toEqual(expected);
  expect(replayed.length).toBeGreaterThan(12);
});
