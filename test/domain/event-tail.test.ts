import { afterAll, beforeAll, expect, test } from 'vitest';
import { comparePlaces, placeBefore } from '#domain/events/event.ts';
import type { EventRow, LogPlace } from '#domain/events/event.ts';
import { readHorizon, readReplay, readTail } from '#domain/events/read-events.ts';
import { memberPseudonym } from '#domain/membership/require-member.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import type { Sql, SqlTx } from '#storage/database.ts';
import { randomPeople, sendRandom, startDomainHarness } from '../support/domain-harness.ts';
import type { DomainHarness, TestConversation } from '../support/domain-harness.ts';

let harness: DomainHarness;
beforeAll(async () => {
  harness = await startDomainHarness({ poolSize: 16 });
});
afterAll(() => harness.close());

/** What a server's tail would deliver: every event after `from`, page by page, as far as the horizon goes now. */
async function readOn(from: LogPlace, pageSize = 7): Promise<EventRow[]> {
  const events: EventRow[] = [];
  for (;;) {
    const page = await readTail(harness.server, events.at(-1) ?? from, pageSize);
    events.push(...page.events);
    if (page.events.length < pageSize) return events;
  }
}

/** The end of what can be read now. Other databases of the cluster may hold the horizon for a moment. */
async function readToEnd(): Promise<LogPlace> {
  const deadlineMs = harness.server.clock.monotonicMs() + 10_000;
  while (harness.server.clock.monotonicMs() < deadlineMs) {
    const [row] = await harness.database.sql<{ last: number | null }[]>`SELECT max(position) AS last FROM events`;
    if ((row?.last ?? 0) < (await readHorizon(harness.server))) break;
    await harness.server.clock.sleep(10);
  }
  return (await readOn(placeBefore(0), 500)).at(-1) ?? placeBefore(0);
}

/** Polls until `count` events after `from` have been read, or ten seconds are over. */
async function readUntil(from: LogPlace, count: number): Promise<EventRow[]> {
  const events: EventRow[] = [];
  const deadlineMs = harness.server.clock.monotonicMs() + 10_000;
  while (events.length < count && harness.server.clock.monotonicMs() < deadlineMs) {
    events.push(...(await readOn(events.at(-1) ?? from)));
    await harness.server.clock.sleep(5);
  }
  return events;
}

/** append_messages in a transaction of the test's own. */
async function appendIn(sql: Sql | SqlTx, conversation: TestConversation, did: string): Promise<number> {
  const member = memberPseudonym(harness.privacy, conversation.groupId, did);
  const rows = await sql<{ outcome: string; seq: number }[]>`
    SELECT outcome, seq FROM append_messages(
      ARRAY[${conversation.groupId}::bytea], ARRAY[${member}::bytea], ARRAY[0::bigint], ARRAY[${newUuid()}::text],
      ARRAY[0], ARRAY[512], ${newSecret(512)}::bytea, 60)`;
  expect(rows[0]?.outcome).toBe('stored');
  return rows[0]?.seq ?? 0;
}

function seqsOf(events: readonly EventRow[], conversation: TestConversation): (number | null)[] {
  return events.filter((event) => event.groupId.equals(conversation.groupId)).map(({ seq }) => seq);
}

// Safe because a position is at least its writer's transaction id, and readers stop below pg_snapshot_xmin.
test('events of a transaction whose commit is held back are not skipped by readers that saw later ones written', async () => {
  const [alice = ''] = randomPeople(1);
  const slow = await harness.createConversation([alice]);
  const fast = await harness.createConversation([alice]);
  const from = await readToEnd();
  const held = await harness.server.sql.reserve();
  await held`BEGIN`;
  await appendIn(held, slow, alice);
  const [own] = await held<{ xid: number }[]>`SELECT pg_current_xact_id()::text::bigint AS xid`;
  for (let index = 0; index < 10; index++) await sendRandom(harness.server, alice, { id: fast.id });

  const visible = await harness.database.sql`SELECT 1 FROM events WHERE group_id = ${fast.groupId} AND seq IS NOT NULL`;
  expect(visible, 'a reader without the horizon would have seen these and moved on').toHaveLength(10);
  expect(await readOn(from)).toEqual([]);
  expect(await readHorizon(harness.server)).toBeLessThanOrEqual(own?.xid ?? 0);

  await held`COMMIT`;
  held.release();
  const events = await readUntil(from, 11);
  expect(seqsOf(events, slow)).toEqual([1]);
  expect(seqsOf(events, fast)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(events).toEqual(events.toSorted(comparePlaces));
});

// Safe because position = greatest(own transaction id, the conversation's last position), under the conversation's lock.
test('a writer with the higher transaction id that comes first in a conversation stays first', async () => {
  const [alice = ''] = randomPeople(1);
  const conversation = await harness.createConversation([alice]);
  const from = await readToEnd();
  const older = await harness.server.sql.reserve();
  await older`BEGIN`;
  const [olderXid] = await older<{ xid: number }[]>`SELECT pg_current_xact_id()::text::bigint AS xid`;
  const first = await sendRandom(harness.server, alice, { id: conversation.id });
  const between = await readOn(from);
  const second = await appendIn(older, conversation, alice);
  const [lastOwn] = await older<
    { position: number }[]
  >`SELECT position FROM events WHERE group_id = ${conversation.groupId} AND seq = 2`;
  await older`COMMIT`;
  older.release();
  expect([first.seq, second]).toEqual([1, 2]);
  expect(between, 'nothing may be read while an older transaction can still write').toEqual([]);
  expect(lastOwn?.position).toBeGreaterThan(olderXid?.xid ?? 0);
  const events = await readUntil(from, 2);
  expect(seqsOf(events, conversation)).toEqual([1, 2]);
  expect(events[0]?.position).toBe(events[1]?.position);
});

test('a rolled back writer leaves no hole that stops the tail, and no number is lost', async () => {
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

test('a tail that reads all the time beside 8 writers with commits held back gets every event once, in order', async () => {
  const [alice = ''] = randomPeople(1);
  const conversations = await Promise.all(Array.from({ length: 5 }, () => harness.createConversation([alice])));
  const from = await readToEnd();
  let writing = true;
  const delivered: EventRow[] = [];
  const tail = async (): Promise<void> => {
    while (writing) {
      delivered.push(...(await readOn(delivered.at(-1) ?? from, 5)));
      await harness.server.clock.sleep(1);
    }
  };
  const writer = async (index: number): Promise<void> => {
    for (let round = 0; round < 25; round++) {
      await harness.server.sql.begin(async (tx) => {
        const pick = newSecret(3);
        // Taken first, so that it is often lower than that of a transaction that writes before.
        await tx`SELECT pg_current_xact_id()`;
        await harness.server.clock.sleep((pick[0] ?? 0) % 12);
        const conversation = conversations[((pick[1] ?? 0) + index) % 5];
        if (conversation !== undefined) await appendIn(tx, conversation, alice);
        await harness.server.clock.sleep((pick[2] ?? 0) % 8);
      });
    }
  };
  const tailing = tail();
  await Promise.all(Array.from({ length: 8 }, (_, index) => writer(index)));
  writing = false;
  await tailing;
  const events = [...delivered, ...(await readUntil(delivered.at(-1) ?? from, 200 - delivered.length))];
  expect(events).toHaveLength(200);
  expect(delivered.length, 'the tail read nothing while others wrote').toBeGreaterThan(50);
  expect(events).toEqual(events.toSorted(comparePlaces));
  for (const conversation of conversations) {
    const seqs = seqsOf(events, conversation);
    expect(seqs).toEqual(seqs.map((_, index) => index + 1));
  }
  const inversions = await harness.database.sql`
    SELECT 1 FROM events e JOIN events f ON f.position = e.position AND f.group_id = e.group_id AND f.event_no = e.event_no + 1
    WHERE e.seq IS NOT NULL LIMIT 1`;
  expect(inversions, 'no writer with a lower transaction id came second; the test proved little').toHaveLength(1);
});

test('a replay of some conversations between two places is what the tail delivered of them', async () => {
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
