import { afterAll, beforeAll, expect, test } from 'vitest';
import { required } from '#platform/errors.ts';
import { createCraftedConversation, sendCrafted } from '../support/mls/crafted-conversation.ts';
import { craftCommit } from '../support/mls/crafted-mls.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';

let bed: TestBed;
let alice: XrpcClient;
let bob: XrpcClient;
let carol: XrpcClient;

beforeAll(async () => {
  bed = await startTestBed();
  [alice, bob, carol] = [bed.client(), bed.client(), bed.client()];
});
afterAll(() => bed.stop());

/** The time of the last message of a conversation, as both lists of conversations show it. */
async function lastMessageAt(member: XrpcClient, convoId: string): Promise<string | undefined> {
  const { conversations } = await member.call('getConvos', { limit: 100 });
  const expected = await member.call('getExpectedConversations', {});
  const view = required(
    conversations.find(({ groupId }) => groupId === convoId),
    'the conversation',
  );
  const other = expected.conversations.find((each) => each.convoId === convoId);
  expect(other?.lastActivity).toBe(view.lastMessageAt);
  return view.lastMessageAt;
}

/** Moves everything that the conversation has stored back by some hours. */
async function moveBack(groupId: Buffer, hours: number): Promise<void> {
  const { sql } = bed.database;
  await sql`UPDATE messages SET received_at = received_at - make_interval(hours => ${hours}) WHERE group_id = ${groupId}`;
}

test('lastMessageAt is the time of the newest entry of getMessages, a message or a commit, in its time bucket', async () => {
  const conversation = await createCraftedConversation(alice, [bob]);
  const { convoId, groupId } = conversation;
  expect(await lastMessageAt(bob, convoId)).toBeUndefined();
  const newest = async (): Promise<string | undefined> =>
    (await bob.call('getMessages', { convoId })).messages.at(-1)?.createdAt;
  await sendCrafted(alice, conversation);
  await moveBack(groupId, 1);
  const ofFirst = required(await lastMessageAt(bob, convoId), 'the time of the first message');
  expect([ofFirst, Date.parse(ofFirst) % 60_000]).toEqual([await newest(), 0]);
  await sendCrafted(alice, conversation);
  const ofSecond = required(await lastMessageAt(bob, convoId), 'the time of the second message');
  expect(ofSecond).toBe(await newest());
  expect(Date.parse(ofSecond)).toBeGreaterThan(Date.parse(ofFirst));
  await moveBack(groupId, 2);
  await alice.call('commit', { convoId, commit: craftCommit(groupId, 0) });
  const ofCommit = required(await lastMessageAt(bob, convoId), 'the time of the commit');
  expect(ofCommit).toBe(await newest());
  expect(Date.parse(ofCommit)).toBeGreaterThanOrEqual(Date.parse(ofSecond));
});

test('an ephemeral message, which is not stored, leaves no time', async () => {
  const conversation = await createCraftedConversation(alice, [bob]);
  await sendCrafted(alice, conversation, { delivery: 'ephemeral' });
  expect(await lastMessageAt(alice, conversation.convoId)).toBeUndefined();
});

test('a person who joins learns no time from before they joined, and each member sees the same time afterwards', async () => {
  const conversation = await createCraftedConversation(alice, [bob]);
  const { convoId } = conversation;
  await sendCrafted(alice, conversation);
  await alice.call('addMembers', { convoId, didList: [carol.did] });
  expect(await lastMessageAt(bob, convoId)).toBeDefined();
  expect(await lastMessageAt(carol, convoId)).toBeUndefined();
  await sendCrafted(carol, conversation);
  const times = await Promise.all([alice, bob, carol].map((member) => lastMessageAt(member, convoId)));
  expect(new Set(times).size).toBe(1);
  expect(times[0]).toBeDefined();
});

test('the time goes with the message: an expired message has none, although its row is not removed yet', async () => {
  const conversation = await createCraftedConversation(alice, [bob]);
  const { convoId, groupId } = conversation;
  await sendCrafted(alice, conversation);
  expect(await lastMessageAt(bob, convoId)).toBeDefined();
  const { sql } = bed.database;
  await sql.unsafe(`CREATE TABLE messages_old PARTITION OF messages FOR VALUES FROM ('2020-01-01') TO ('2020-01-05')`);
  await sql`UPDATE messages SET received_at = '2020-01-02' WHERE group_id = ${groupId}`;
  expect(await lastMessageAt(bob, convoId)).toBeUndefined();
  expect((await bob.call('getMessages', { convoId })).messages).toEqual([]);
  await sql`DROP TABLE messages_old`;
});
