import { afterAll, beforeAll, expect, test } from 'vitest';
import { listMessages } from '#domain/messages/list-messages.ts';
import { createMessageAppender } from '#domain/messages/message-appender.ts';
import type { StoredMessage } from '#domain/messages/store-messages.ts';
import type { Message } from '#domain/messages/message.ts';
import { memberPseudonym } from '#domain/membership/members/member-pseudonym.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import { randomPeople, refusalOf, sendRandom, startDomainHarness } from '../support/domain-harness.ts';
import type { DomainHarness, TestServer } from '../support/domain-harness.ts';

let harness: DomainHarness;
let servers: readonly [TestServer, TestServer];

beforeAll(async () => {
  harness = await startDomainHarness({ poolSize: 6 });
  servers = [harness.server, harness.addServer(6)];
});
afterAll(() => harness.close());

const serverFor = (index: number): TestServer => servers[index % 2] ?? harness.server;

async function readAll(server: TestServer, did: string, conversationId: string, limit: number): Promise<Message[]> {
  const messages: Message[] = [];
  for (;;) {
    const page = await listMessages(server, { did }, { conversationId, sinceSeq: messages.at(-1)?.seq, limit });
    expect(page.gap).toBeUndefined();
    messages.push(...page.messages);
    if (page.messages.length === 0) return messages;
  }
}

// Safe because store_messages locks the counter row first and reads `last_seq` in a later statement.
test('messages of 32 senders on two servers get the seqs 1, 2, 3, …, and every reader gets the same list', async () => {
  const people = randomPeople(32);
  const conversation = await harness.createConversation(people);
  const responses = await Promise.all(
    people.flatMap((did, person) =>
      Array.from({ length: 20 }, async (_, nth) => {
        const msgId = newUuid();
        return { msgId, ...(await sendRandom(serverFor(person + nth), did, { id: conversation.id, msgId })) };
      }),
    ),
  );
  const bySeq = responses.toSorted((a, b) => a.seq - b.seq);
  expect(bySeq.map(({ seq }) => seq)).toEqual(Array.from({ length: 640 }, (_, index) => index + 1));
  const lists = await Promise.all(
    people.slice(0, 8).map((did, index) => readAll(serverFor(index), did, conversation.id, 37 + index)),
  );
  for (const list of lists) {
    expect(list.map(({ id, seq }) => [id, seq])).toEqual(bySeq.map(({ msgId, seq }) => [msgId, seq]));
    expect(list.every(({ receivedAt }, index) => receivedAt.getTime() === bySeq[index]?.receivedAt.getTime())).toBe(
      true,
    );
  }
});

// Safe because duplicates are searched in a statement after the lock, whose snapshot includes the earlier holders of
// the lock.
test('one msgId sent 16 times at once through two servers is one message, and all 16 get its response', async () => {
  const [alice = '', bob = ''] = randomPeople(2);
  const conversation = await harness.createConversation([alice, bob]);
  for (let round = 0; round < 10; round++) {
    const msgId = newUuid();
    const noise = Array.from({ length: 8 }, (_, index) => sendRandom(serverFor(index), bob, { id: conversation.id }));
    const responses = await Promise.all(
      Array.from({ length: 16 }, (_, index) => sendRandom(serverFor(index), alice, { id: conversation.id, msgId })),
    );
    await Promise.all(noise);
    expect(new Set(responses.map((response) => JSON.stringify(response))).size).toBe(1);
    const stored = (await readAll(harness.server, bob, conversation.id, 100)).filter(({ id }) => id === msgId);
    expect(stored.map(({ seq }) => seq)).toEqual([responses[0]?.seq]);
  }
  expect(await readAll(harness.server, bob, conversation.id, 100)).toHaveLength(90);
});

// The appender keeps a second message with the same id out of the statement that carries the first.
test('a msgId that comes twice in one batch is one message, and the same id elsewhere is another', async () => {
  const [alice = ''] = randomPeople(1);
  const one = await harness.createConversation([alice]);
  const two = await harness.createConversation([alice]);
  const busyOne = await harness.createConversation([alice]);
  const msgId = newUuid();
  // While these two statements run, the others queue up and share the next one.
  const busy = [
    sendRandom(harness.server, alice, { id: busyOne.id }),
    sendRandom(harness.server, alice, { id: busyOne.id }),
  ];
  const [first, again, elsewhere] = await Promise.all([
    sendRandom(harness.server, alice, { id: one.id, msgId }),
    sendRandom(harness.server, alice, { id: one.id, msgId }),
    sendRandom(harness.server, alice, { id: two.id, msgId }),
  ]);
  await Promise.all(busy);
  expect(again).toEqual(first);
  expect(elsewhere.seq).toBe(1);
  expect(await readAll(harness.server, alice, one.id, 10)).toHaveLength(1);
  expect(await readAll(harness.server, alice, two.id, 10)).toHaveLength(1);
});

test('in one statement every message gets its own result and is stored with its own bytes', async () => {
  const [alice = '', bob = '', mallory = ''] = randomPeople(3);
  const one = await harness.createConversation([alice, bob]);
  const two = await harness.createConversation([bob, alice]);
  const item = (did: string, groupId: Buffer, epoch: number) => ({
    groupId,
    member: memberPseudonym(harness.privacy, groupId, did),
    epoch,
    msgId: newUuid(),
    body: newSecret(700),
  });
  const nowhere = newSecret(16);
  const items = [
    item(alice, one.groupId, 0),
    item(mallory, one.groupId, 0),
    item(bob, two.groupId, 0),
    item(bob, one.groupId, 7),
    item(mallory, nowhere, 0),
    item(bob, one.groupId, 0),
    item(alice, two.groupId, 0),
  ];
  // While these two statements run, the seven below queue up and share the next one.
  const busy = [sendRandom(harness.server, alice, { id: one.id }), sendRandom(harness.server, alice, { id: two.id })];
  const results = await Promise.all(items.map((message) => harness.server.appender.append(message)));
  await Promise.all(busy);
  expect(results.map(({ outcome }) => outcome)).toEqual([
    'stored',
    'nonMember',
    'stored',
    'stale',
    'nonMember',
    'stored',
    'stored',
  ]);
  expect(results[3]).toEqual({ outcome: 'stale', epoch: 0 });
  const stored = [
    ...(await readAll(harness.server, alice, one.id, 10)),
    ...(await readAll(harness.server, alice, two.id, 10)),
  ];
  const bodies = new Map(stored.map(({ id, ciphertext }) => [id, ciphertext.toString('hex')]));
  for (const index of [0, 2, 5, 6]) {
    expect(bodies.get(items[index]?.msgId ?? '')).toBe(items[index]?.body.toString('hex'));
  }
});

test('what was stored is reported once, with its position in the log, and what was not stored is never reported', async () => {
  const [alice = '', mallory = ''] = randomPeople(2);
  const one = await harness.createConversation([alice]);
  const two = await harness.createConversation([alice]);
  const reports: (readonly StoredMessage[])[] = [];
  const { sql, timeBucketSeconds } = harness.server;
  const appender = createMessageAppender({ sql, timeBucketSeconds, onStored: (stored) => void reports.push(stored) });
  const item = (did: string, groupId: Buffer, epoch = 0) => ({
    groupId,
    member: memberPseudonym(harness.privacy, groupId, did),
    epoch,
    msgId: newUuid(),
    body: newSecret(300),
  });
  const known = item(alice, one.groupId);
  await appender.append(known);
  const items = [
    item(alice, one.groupId),
    item(alice, two.groupId),
    known,
    item(mallory, one.groupId),
    item(alice, two.groupId, 3),
    item(alice, two.groupId),
    item(alice, one.groupId),
  ];
  await Promise.all(items.map((message) => appender.append(message)));

  const stored = reports.flat();
  expect(reports.length, 'several messages share a report').toBeLessThan(5);
  expect(stored).toHaveLength(5);
  const rows = await sql<StoredMessage[]>`
    SELECT m.group_id AS "groupId", m.seq, m.epoch, m.msg_id AS "msgId", e.position, e.event_no AS "eventNo",
           m.received_at AS "receivedAt", m.body
    FROM messages m JOIN events e ON e.group_id = m.group_id AND e.seq = m.seq
    WHERE m.group_id IN (${one.groupId}, ${two.groupId})`;
  const byId = (messages: readonly StoredMessage[]) => Object.fromEntries(messages.map((each) => [each.msgId, each]));
  expect(byId(stored)).toEqual(byId(rows));
});

// Two statements over the same conversations cannot deadlock: both lock the counter rows in group id order.
test('batches over the same 100 conversations from two servers never deadlock', async () => {
  const people = randomPeople(4);
  const conversations = await Promise.all(Array.from({ length: 100 }, () => harness.createConversation(people)));
  const responses = await Promise.all(
    Array.from({ length: 4_000 }, (_, index) => {
      const { id } = conversations[(index * 7) % 100] ?? { id: '' };
      return sendRandom(serverFor(Math.floor(index / 3)), people[index % 4] ?? '', { id }).then(
        ({ seq }) => `${id} ${seq}`,
      );
    }),
  );
  expect(new Set(responses).size).toBe(4_000);
  expect(responses.filter((response) => response.endsWith(' 40'))).toHaveLength(100);
});

test('a non-member who sends gets the same refusal for a conversation as for one that does not exist', async () => {
  const [alice = '', mallory = ''] = randomPeople(2);
  const conversation = await harness.createConversation([alice]);
  const atReal = await refusalOf(sendRandom(harness.server, mallory, { id: conversation.id, epoch: 3 }));
  const atNothing = await refusalOf(
    sendRandom(harness.server, mallory, { id: newSecret(16).toString('hex'), epoch: 3 }),
  );
  expect(atReal).toEqual({ code: 'ConvoNotFound' });
  expect(atNothing).toEqual(atReal);
});
