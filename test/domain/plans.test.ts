import { afterAll, beforeAll, expect, test } from 'vitest';
import { positionBefore } from '#domain/events/event.ts';
import { listConversations } from '#domain/conversations/list-conversations.ts';
import { readLogEnd, readReplay, readTail } from '#domain/events/read-events.ts';
import { readMessagesBySeq } from '#domain/messages/read-messages-by-seq.ts';
import { listCommits, listMessages } from '#domain/messages/list-messages.ts';
import { randomPeople, sendRandom, startDomainHarness } from '../support/domain-harness.ts';
import type { DomainHarness } from '../support/domain-harness.ts';

let harness: DomainHarness;
beforeAll(async () => {
  // With one session its counters can be flushed, and its plans are those of its first calls.
  harness = await startDomainHarness({ poolSize: 1 });
});
afterAll(() => harness.close());

async function sequentialScans(): Promise<Record<string, number>> {
  await harness.database.sql`SELECT pg_stat_force_next_flush()`;
  const rows = await harness.database.sql<{ name: string; scans: number }[]>`
    SELECT relname AS name, seq_scan AS scans FROM pg_stat_user_tables
    WHERE relname ~ '^(messages_|events_|members|conversation_counters)'`;
  return Object.fromEntries(rows.map(({ name, scans }) => [name, scans]));
}

test('plans that a session makes while a partition is nearly empty use indexes only', async () => {
  const [alice = ''] = randomPeople(1);
  const conversations = await Promise.all(Array.from({ length: 5 }, () => harness.createConversation([alice])));
  const caller = { did: alice };
  const useAll = async (): Promise<void> => {
    const page = await listConversations(harness.server, caller, { limit: 5, cursor: undefined });
    expect(page.conversations).toHaveLength(5);
    for (const { id, groupId } of conversations) {
      await sendRandom(harness.server, alice, { id });
      expect(
        (await listMessages(harness.server, caller, { conversationId: id, sinceSeq: 0, limit: 50 })).messages,
      ).not.toEqual([]);
      await listCommits(harness.server, caller, { conversationId: id, fromEpoch: 0, toEpoch: undefined });
      await readMessagesBySeq(harness.server, { groupIds: [groupId, groupId], seqs: [1, 2], sizeBytesMax: 1_000 });
      await readTail(harness.server, positionBefore(0), { limit: 10, gaps: 'pass' });
      await readLogEnd(harness.server);
      await readReplay(harness.server, {
        groupIds: [groupId],
        after: positionBefore(0),
        upTo: positionBefore(Number.MAX_SAFE_INTEGER),
        limit: 10,
      });
    }
  };
  await useAll();
  await harness.database.sql`ANALYZE`;
  const before = await sequentialScans();
  for (let round = 0; round < 8; round++) await useAll();
  expect(await sequentialScans()).toEqual(before);
  await harness.database.sql`SET enable_seqscan = on`;
  await harness.database.sql`SELECT count(*) FROM messages`;
  expect(await sequentialScans(), 'the counters show nothing').not.toEqual(before);
});

test('the times of the last messages of 200 conversations cost one row each, although every conversation has many', async () => {
  const [bob = ''] = randomPeople(1);
  const conversations = [];
  for (let index = 0; index < 200; index++) conversations.push(await harness.createConversation([bob]));
  for (const { id } of conversations.slice(0, 150)) {
    await Promise.all(Array.from({ length: 8 }, () => sendRandom(harness.server, bob, { id })));
  }
  const { sql } = harness.database;
  await sql`ANALYZE`;
  const fetchedRows = async (): Promise<number> => {
    await sql`SELECT pg_stat_force_next_flush()`;
    const [row] = await sql<{ rows: number }[]>`
      SELECT sum(idx_tup_fetch)::int AS rows FROM pg_stat_user_tables WHERE relname ~ '^messages_'`;
    return row?.rows ?? 0;
  };
  const before = await fetchedRows();
  const times: (Date | undefined)[] = [];
  let cursor: string | undefined;
  do {
    const page = await listConversations(harness.server, { did: bob }, { limit: 100, cursor });
    times.push(...page.conversations.map(({ lastMessageAt }) => lastMessageAt));
    ({ cursor } = page);
  } while (cursor !== undefined);
  expect([times.length, times.filter((time) => time !== undefined).length]).toEqual([200, 150]);
  expect((await fetchedRows()) - before).toBe(150);
}, 60_000);
