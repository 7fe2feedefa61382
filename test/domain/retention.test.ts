import { afterAll, beforeAll, expect, test } from 'vitest';
import { readReplay } from '#domain/events/read-events.ts';
import { positionBefore } from '#domain/events/event.ts';
import { listMessages } from '#domain/messages/list-messages.ts';
import type { MessageList } from '#domain/messages/list-messages.ts';
import { openDatabase } from '#storage/connection/database.ts';
import {
  createPartitionsAhead,
  dropExpiredPartitions,
  listPartitions,
  partitionWidthDays,
} from '#storage/expiry/partitions.ts';
import type { PartitionedTable } from '#storage/expiry/partitions.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import { randomPeople, sendRandom, startDomainHarness } from '../support/domain-harness.ts';
import type { DomainHarness } from '../support/domain-harness.ts';
import { runJob } from '../support/processes/run-job.ts';

const dayMs = 86_400_000;
let harness: DomainHarness;

beforeAll(async () => {
  harness = await startDomainHarness();
  await makeOldPartition('messages', 44, 4);
  await makeOldPartition('messages', 40, 4);
  await makeOldPartition('messages', 32, 4);
  await makeOldPartition('events', 10, 4);
});
afterAll(() => harness.close());

/**
 * Creates a partition of `widthDays` days that began `daysAgo` days ago, with the name and bounds that the service
 * would have chosen.
 */
async function makeOldPartition(table: PartitionedTable, daysAgo: number, widthDays: number): Promise<void> {
  const todayMs = Math.floor(harness.server.clock.nowMs() / dayMs) * dayMs;
  const [from, to] = [todayMs - daysAgo * dayMs, todayMs - (daysAgo - widthDays) * dayMs].map((timeMs) =>
    new Date(timeMs).toISOString(),
  );
  const day = (iso = ''): string => iso.slice(0, 10).replaceAll('-', '');
  const name = `${table}_${day(from)}_${day(to)}`;
  await harness.database.sql.unsafe(
    `CREATE TABLE ${name} PARTITION OF ${table} FOR VALUES FROM ('${from}') TO ('${to}')`,
  );
}

/** Moves stored messages back in time, into the partition of that time. */
async function age(groupId: Buffer, seqs: readonly number[], ageMs: number): Promise<void> {
  await harness.database.sql`
    UPDATE messages SET received_at = now() - make_interval(secs => ${ageMs / 1_000})
    WHERE group_id = ${groupId} AND seq = ANY(${[...seqs]}::bigint[])`;
}

/** Runs the job. @returns how many partitions it dropped. */
async function droppedBy(job: 'compact-messages' | 'compact-events'): Promise<number> {
  const { sql } = harness.database;
  const table = job === 'compact-messages' ? 'messages' : 'events';
  const before = await listPartitions(sql, table);
  await runJob(harness.database, job);
  const after = new Set((await listPartitions(sql, table)).map(({ name }) => name));
  return before.filter(({ name }) => !after.has(name)).length;
}

async function read(did: string, conversationId: string, sinceSeq?: number): Promise<MessageList> {
  return listMessages(harness.server, { did }, { conversationId, sinceSeq, limit: 50 });
}

// Safe because seq comes from the conversation's counter, which no clean-up changes.
test('seq continues after compaction has deleted all messages, and the gap lists the missing numbers', async () => {
  const [alice = '', bob = ''] = randomPeople(2);
  const { id, groupId } = await harness.createConversation([alice, bob]);
  for (let index = 0; index < 5; index++) await sendRandom(harness.server, alice, { id });
  await age(groupId, [1, 2, 3, 4, 5], 39 * dayMs);
  expect(await droppedBy('compact-messages')).toBe(2);
  expect(await harness.database.sql`SELECT 1 FROM messages WHERE group_id = ${groupId}`).toEqual([]);
  expect(await droppedBy('compact-messages')).toBe(0);

  expect(await read(bob, id, 2)).toEqual({
    messages: [],
    lastSeq: 2,
    gap: { missingSeqs: [3, 4, 5], totalMessages: 0 },
  });
  expect((await sendRandom(harness.server, alice, { id })).seq).toBe(6);
  const after = await read(bob, id, 2);
  expect(after.messages.map(({ seq }) => seq)).toEqual([6]);
  expect(after.gap).toEqual({ missingSeqs: [3, 4, 5], totalMessages: 1 });
  expect((await read(bob, id)).messages.map(({ seq }) => seq)).toEqual([6]);
  expect((await read(bob, id, 5)).gap).toBeUndefined();
  expect((await read(bob, id, 6)).gap).toBeUndefined();
});

test('a message is hidden at the exact end of its retention, although its partition still exists', async () => {
  const [alice = ''] = randomPeople(1);
  const { id, groupId } = await harness.createConversation([alice]);
  for (let index = 0; index < 3; index++) await sendRandom(harness.server, alice, { id });
  await age(groupId, [1], 30 * dayMs + 1_000);
  await age(groupId, [2], 30 * dayMs - 60_000);
  expect(await droppedBy('compact-messages')).toBe(0);
  expect(await harness.database.sql`SELECT 1 FROM messages WHERE group_id = ${groupId}`).toHaveLength(3);
  const list = await read(alice, id, 0);
  expect(list.messages.map(({ seq }) => seq)).toEqual([2, 3]);
  expect(list.gap).toEqual({ missingSeqs: [1], totalMessages: 2 });
});

test('an event is hidden at the exact end of its retention, although its partition still exists', async () => {
  const [alice = ''] = randomPeople(1);
  const { id, groupId } = await harness.createConversation([alice]);
  await sendRandom(harness.server, alice, { id });
  await sendRandom(harness.server, alice, { id });
  const { sql } = harness.database;
  const replay = () =>
    readReplay(harness.server, {
      groupIds: [groupId],
      after: positionBefore(0),
      upTo: positionBefore(Number.MAX_SAFE_INTEGER),
      limit: 10,
    });
  expect(await replay()).toHaveLength(3);
  await sql`UPDATE events SET received_at = now() - interval '7 days 1 second' WHERE group_id = ${groupId} AND event_no = 2`;
  expect(await droppedBy('compact-events')).toBe(0);
  expect((await replay()).map(({ eventNo }) => eventNo)).toEqual([1, 3]);
});

test('a drop that cannot get its lock retries, and does not block writers meanwhile', async () => {
  const [alice = ''] = randomPeople(1);
  const { id } = await harness.createConversation([alice]);
  await makeOldPartition('messages', 60, 4);
  const reader = await harness.server.sql.reserve();
  await reader`BEGIN`;
  await reader`SELECT count(*) FROM messages`;
  const compaction = droppedBy('compact-messages');
  let slowestMs = 0;
  for (let index = 0; index < 30; index++) {
    const startedMs = performance.now();
    await sendRandom(harness.server, alice, { id });
    slowestMs = Math.max(slowestMs, performance.now() - startedMs);
    await harness.server.clock.sleep(20);
  }
  await reader`COMMIT`;
  reader.release();
  expect(await compaction).toBe(1);
  expect(slowestMs, 'a send waited behind the drop for longer than its lock timeout').toBeLessThan(1_000);
});

// The advisory lock serializes the servers; the later ones list the partitions after the first has committed.
test('partitions that 4 servers create ahead at once are created once, have no gaps, and cover the next days', async () => {
  const database = await createTestDatabase();
  const pools = Array.from({ length: 4 }, () =>
    openDatabase({ url: database.url, poolSize: 2, applicationName: 'nightjar-test' }),
  );
  try {
    for (const table of ['messages', 'events'] as const) {
      const days = table === 'messages' ? 30 : 7;
      const created = await Promise.all(pools.map(({ sql }) => createPartitionsAhead(sql, table, days)));
      const partitions = await listPartitions(database.sql, table);
      expect(created.reduce((sum, count) => sum + count, 0)).toBe(partitions.length);
      expect(created.filter((count) => count > 0)).toHaveLength(1);
      expect(partitions.slice(1).map(({ fromMs }) => fromMs)).toEqual(partitions.slice(0, -1).map(({ toMs }) => toMs));
      const nowMs = harness.server.clock.nowMs();
      // A time bucket of up to a day may have begun yesterday.
      expect(partitions[0]?.fromMs).toBeLessThanOrEqual(nowMs - dayMs);
      expect(partitions.at(-1)?.toMs).toBeGreaterThan(nowMs + partitionWidthDays(days) * dayMs);
      expect(await createPartitionsAhead(database.sql, table, days)).toBe(0);
    }
    const drops = await Promise.all(
      pools.map(({ sql }) =>
        dropExpiredPartitions({ sql, clock: harness.server.clock, confirm: () => Promise.resolve() }, 'messages', 30),
      ),
    );
    expect(drops.map(({ partitions }) => partitions)).toEqual([0, 0, 0, 0]);
  } finally {
    await Promise.all(pools.map((pool) => pool.close()));
    await database.close();
  }
});

test('the partition width makes about eight live partitions', () => {
  expect([1, 7, 8, 30, 90, 365].map((days) => partitionWidthDays(days))).toEqual([1, 1, 1, 4, 12, 46]);
});
