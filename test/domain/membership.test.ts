import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConversationList } from '#domain/accounts/read-conversation-list.ts';
import { createConversation } from '#domain/conversations/create-conversation.ts';
import { getEpoch } from '#domain/conversations/get-epoch.ts';
import { getGroupInfo } from '#domain/conversations/group-info/get-group-info.ts';
import { listConversations } from '#domain/conversations/list-conversations.ts';
import { addMembers } from '#domain/membership/add-members.ts';
import { leaveConversation } from '#domain/membership/leave-conversation.ts';
import { listRosters } from '#domain/membership/members/list-rosters.ts';
import { removeMember } from '#domain/membership/remove-member.ts';
import { listCommits, listMessages } from '#domain/messages/list-messages.ts';
import { getWelcome } from '#domain/welcomes/get-welcome.ts';
import { required } from '#platform/errors.ts';
import { newSecret } from '#platform/ids.ts';
import { craftCommit } from '../support/mls/crafted-mls.ts';
import {
  createTestConversation,
  randomPeople,
  refusalOf,
  sendRandom,
  startDomainHarness,
  testSuite,
} from '../support/domain-harness.ts';
import type { DomainHarness, TestConversation, TestServer } from '../support/domain-harness.ts';

let harness: DomainHarness;
let servers: readonly [TestServer, TestServer];

beforeAll(async () => {
  harness = await startDomainHarness({ poolSize: 10 });
  servers = [harness.server, harness.addServer(10)];
});
afterAll(() => harness.close());

function add(
  server: TestServer,
  did: string,
  conversation: TestConversation,
  dids: readonly string[],
): Promise<number> {
  const input = { conversationId: conversation.id, dids, commit: undefined, welcome: undefined, groupInfo: undefined };
  return addMembers(server, { did }, input);
}

function remove(server: TestServer, did: string, conversation: TestConversation, targetDid: string): Promise<number> {
  return removeMember(server, { did }, { conversationId: conversation.id, targetDid, commit: undefined });
}

function leave(server: TestServer, did: string, conversation: TestConversation): Promise<number> {
  return leaveConversation(
    server,
    { did },
    { conversationId: conversation.id, targetDid: undefined, commit: undefined },
  );
}

/** Tries every read of a conversation. @returns the refusals. */
function reads(did: string, conversationId: string): Promise<{ code: string }[]> {
  const { server } = harness;
  return Promise.all([
    refusalOf(listMessages(server, { did }, { conversationId, sinceSeq: 0, limit: 10 })),
    refusalOf(listCommits(server, { did }, { conversationId, fromEpoch: 0, toEpoch: undefined })),
    refusalOf(listCommits(server, { did }, { conversationId, fromEpoch: 5, toEpoch: 1 })),
    refusalOf(getEpoch(server, { did }, conversationId)),
    refusalOf(getGroupInfo(server, { did }, conversationId)),
    refusalOf(getWelcome(server, { did }, { conversationId, deviceId: undefined })),
  ]);
}

/** Tries every change of a conversation, with a valid commit. @returns the refusals. */
function changes(did: string, conversation: TestConversation): Promise<{ code: string; currentEpoch?: number }[]> {
  const { server } = harness;
  const { id: conversationId } = conversation;
  const commit = craftCommit(conversation.groupId, 0);
  const dids = randomPeople(1);
  return Promise.all([
    refusalOf(sendRandom(server, did, { id: conversationId })),
    refusalOf(sendRandom(server, did, { id: conversationId, epoch: 9 })),
    refusalOf(addMembers(server, { did }, { conversationId, dids, commit, welcome: undefined, groupInfo: undefined })),
    refusalOf(
      addMembers(
        server,
        { did },
        { conversationId, dids, commit: newSecret(50), welcome: undefined, groupInfo: undefined },
      ),
    ),
    refusalOf(removeMember(server, { did }, { conversationId, targetDid: conversation.creator, commit })),
    refusalOf(leaveConversation(server, { did }, { conversationId, targetDid: undefined, commit })),
  ]);
}

describe('permissions of members and non-members', () => {
  test('a non-member gets the same refusal for a conversation as for one that does not exist, in every operation', async () => {
    const [alice = '', bob = '', mallory = ''] = randomPeople(3);
    const conversation = await harness.createConversation([alice, bob]);
    await sendRandom(harness.server, alice, { id: conversation.id });
    const groupId = newSecret(16);
    const nowhere = { ...conversation, groupId, id: groupId.toString('hex') };
    const atReal = [...(await reads(mallory, conversation.id)), ...(await changes(mallory, conversation))];
    const atNothing = [...(await reads(mallory, nowhere.id)), ...(await changes(mallory, nowhere))];
    expect(atReal).toEqual(atNothing);
    expect(new Set(atReal.map((refusal) => JSON.stringify(refusal)))).toEqual(new Set(['{"code":"ConvoNotFound"}']));
  });

  // Safe because membership is read under the conversation's lock, or in the statement that stores or reads.
  test.for(['removed', 'left'] as const)(
    'a departed member (%s) can no longer read or change anything',
    async (how) => {
      const [alice = '', bob = ''] = randomPeople(2);
      const conversation = await harness.createConversation([alice, bob]);
      await sendRandom(harness.server, bob, { id: conversation.id });
      if (how === 'removed') await remove(harness.server, alice, conversation, bob);
      else await leave(harness.server, bob, conversation);
      const refusals = [...(await reads(bob, conversation.id)), ...(await changes(bob, conversation))];
      expect(new Set(refusals.map((refusal) => JSON.stringify(refusal)))).toEqual(new Set(['{"code":"NotMember"}']));
      expect(await readConversationList(harness.server, bob)).toEqual([]);
      expect((await sendRandom(harness.server, alice, { id: conversation.id })).seq).toBe(2);
    },
  );

  test('a new member, and a member who is added again, can read from the commit that added them on', async () => {
    const [alice = '', bob = ''] = randomPeople(2);
    const conversation = await harness.createConversation([alice]);
    const { id: conversationId, groupId } = conversation;
    const seqsOf = async (did: string, sinceSeq?: number) =>
      (await listMessages(harness.server, { did }, { conversationId, sinceSeq, limit: 50 })).messages.map(
        ({ seq }) => seq,
      );
    await sendRandom(harness.server, alice, { id: conversationId });
    const input = { conversationId, dids: [bob], welcome: undefined, groupInfo: undefined };
    await addMembers(harness.server, { did: alice }, { ...input, commit: craftCommit(groupId, 0) });
    await sendRandom(harness.server, alice, { id: conversationId, epoch: 1 });
    expect(await seqsOf(bob)).toEqual([2, 3]);
    expect(await seqsOf(bob, 0)).toEqual([2, 3]);
    await remove(harness.server, alice, conversation, bob);
    await sendRandom(harness.server, alice, { id: conversationId, epoch: 1 });
    await addMembers(harness.server, { did: alice }, { ...input, commit: craftCommit(groupId, 1) });
    expect(await seqsOf(bob, 0)).toEqual([5]);
    const commits = await listCommits(
      harness.server,
      { did: bob },
      { conversationId, fromEpoch: 0, toEpoch: undefined },
    );
    expect(commits.map(({ epoch }) => epoch)).toEqual([2]);
    expect(await seqsOf(alice)).toEqual([1, 2, 3, 4, 5]);
  });

  test('only admins can remove members, and the only admin cannot leave while other members stay', async () => {
    const [alice = '', bob = '', carol = ''] = randomPeople(3);
    const conversation = await harness.createConversation([alice, bob]);
    expect((await refusalOf(remove(harness.server, bob, conversation, alice))).code).toBe('NotAdmin');
    expect((await refusalOf(remove(harness.server, alice, conversation, alice))).code).toBe('CannotRemoveSelf');
    expect((await refusalOf(remove(harness.server, alice, conversation, carol))).code).toBe('TargetNotMember');
    expect((await refusalOf(leave(harness.server, alice, conversation))).code).toBe('LastAdmin');
    await leave(harness.server, bob, conversation);
    expect(await leave(harness.server, alice, conversation)).toBe(0);
    expect((await refusalOf(getEpoch(harness.server, { did: alice }, conversation.id))).code).toBe('NotMember');
  });

  // Removal and sends take the same row lock, so a send is either before the removal or refused.
  test('a member who sends while being removed has no message after the removal', async () => {
    const [alice = '', ...others] = randomPeople(9);
    const conversation = await harness.createConversation([alice, ...others]);
    const refused = await Promise.all(
      others.map(async (did, index) => {
        const sending = Array.from({ length: 12 }, async (_, nth) => {
          await harness.server.clock.sleep(nth * 3);
          return refusalOf(sendRandom(servers[nth % 2] ?? harness.server, did, { id: conversation.id }));
        });
        await harness.server.clock.sleep(10 + index);
        await remove(harness.server, alice, conversation, did);
        return (await Promise.all(sending)).filter(({ code }) => code !== 'none');
      }),
    );
    expect(new Set(refused.flat().map(({ code }) => code))).toEqual(new Set(['NotMember']));
    const accepted = others.length * 12 - refused.flat().length;
    const [row] = await harness.database
      .sql`SELECT last_seq FROM conversation_counters WHERE group_id = ${conversation.groupId}`;
    expect(row).toEqual({ last_seq: accepted });
    const events = await harness.database.sql<{ kind: number }[]>`
      SELECT kind FROM events WHERE group_id = ${conversation.groupId} AND event_no > 9 ORDER BY event_no`;
    expect(events.at(-1)?.kind, 'nothing may follow the last removal').toBe(4);
    expect(events.filter(({ kind }) => kind === 1)).toHaveLength(accepted);
  });
});

async function expectListsToMatch(people: readonly string[]): Promise<void> {
  const groups = await harness.database.sql<{ groupId: Buffer }[]>`SELECT group_id AS "groupId" FROM conversations`;
  const rosters = await listRosters(
    harness.server,
    groups.map(({ groupId }) => groupId),
  );
  for (const did of people) {
    const expected = [...rosters]
      .filter(([, { members }]) => members.some((member) => member.did === did))
      .map(([id]) => id);
    const list = (await readConversationList(harness.server, did)).map((groupId) => groupId.toString('hex'));
    expect(list.toSorted()).toEqual(expected.toSorted());
    expect(new Set(list).size).toBe(list.length);
  }
}

// No deadlock, because rows are locked in one order: conversation, key packages, accounts, each in the order of keys.
test('concurrent creates, adds, leaves and removals of the same people end with lists that equal the memberships', async () => {
  const people = randomPeople(12);
  const expectedRefusals = new Set([
    'none',
    'NotMember',
    'ConvoNotFound',
    'LastAdmin',
    'TargetNotMember',
    'NotAdmin',
    'CannotRemoveSelf',
  ]);
  const outcomes = new Map<string, number>();
  const conversations: TestConversation[] = [];
  const actor = async (index: number): Promise<void> => {
    const server = required(servers[index % 2], 'a server');
    for (let round = 0; round < 25; round++) {
      const random = newSecret(8);
      const person = (at: number): string => people[(random[at] ?? 0) % people.length] ?? '';
      const conversation = conversations[(random[0] ?? 0) % (conversations.length || 1)];
      const dice = (random[1] ?? 0) % 10;
      let task: Promise<unknown>;
      if (conversation === undefined || dice < 2) {
        task = createTestConversation(server, [...new Set([person(2), person(3), person(4), person(5)])]).then((made) =>
          conversations.push(made),
        );
      } else if (dice < 6)
        task = add(server, person(2), conversation, [...new Set([person(3), person(4), person(5), person(6)])]);
      else if (dice < 8) task = leave(server, person(2), conversation);
      else task = remove(server, conversation.creator, conversation, person(2));
      const { code } = await refusalOf(task);
      expect(expectedRefusals).toContain(code);
      outcomes.set(code, (outcomes.get(code) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 16 }, (_, index) => actor(index)));
  expect(outcomes.get('none')).toBeGreaterThan(150);
  await expectListsToMatch(people);
});

test('the same people added in opposite orders to 30 new conversations at once do not deadlock', async () => {
  const people = randomPeople(20);
  await Promise.all(
    Array.from({ length: 30 }, (_, index) => {
      const rotated = [...people.slice(index % 20), ...people.slice(0, index % 20)];
      return createTestConversation(
        servers[index % 2] ?? harness.server,
        index % 2 === 0 ? rotated : rotated.toReversed(),
      );
    }),
  );
  await expectListsToMatch(people);
  expect(await readConversationList(harness.server, people[7] ?? '')).toHaveLength(30);
});

test('of two people who create a conversation with one group id one is refused, and the other may retry', async () => {
  const [alice = '', bob = ''] = randomPeople(2);
  for (let round = 0; round < 5; round++) {
    const groupId = newSecret(16).toString('hex');
    const input = {
      groupId,
      cipherSuite: testSuite,
      initialMembers: [],
      welcome: undefined,
      groupInfo: undefined,
      metadata: { name: 'plans' },
      currentEpoch: undefined,
    };
    const create = (did: string, index: number) =>
      createConversation(servers[index % 2] ?? harness.server, { did }, input);
    const refusals = await Promise.all([alice, bob, alice, bob].map((did, index) => refusalOf(create(did, index))));
    expect(refusals.map(({ code }) => code).toSorted()).toEqual([
      'ConvoAlreadyExists',
      'ConvoAlreadyExists',
      'none',
      'none',
    ]);
  }
});

test('listConversations returns each conversation once over all pages, and refuses the cursor of another person', async () => {
  const [alice = '', bob = ''] = randomPeople(2);
  const made = await Promise.all(Array.from({ length: 7 }, () => harness.createConversation([alice, bob])));
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await listConversations(harness.server, { did: bob }, { limit: 3, cursor });
    seen.push(...page.conversations.map(({ groupId }) => groupId.toString('hex')));
    expect(page.conversations.every(({ members, creatorDid }) => members.length === 2 && creatorDid === alice)).toBe(
      true,
    );
    cursor = page.cursor;
  } while (cursor !== undefined);
  expect(seen).toEqual(made.map(({ id }) => id).toSorted());
  const page = await listConversations(harness.server, { did: alice }, { limit: 3, cursor: undefined });
  expect(
    (await refusalOf(listConversations(harness.server, { did: bob }, { limit: 3, cursor: page.cursor }))).code,
  ).toBe('InvalidCursor');
});

test('listConversations ends a page after the conversation with which the page has 2,000 members', async () => {
  const people = randomPeople(1_000);
  const conversations = await Promise.all(Array.from({ length: 3 }, () => harness.createConversation(people)));
  const [caller = ''] = people;
  const sizes: number[] = [];
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await listConversations(harness.server, { did: caller }, { limit: 100, cursor });
    sizes.push(page.conversations.length);
    seen.push(...page.conversations.map(({ groupId }) => groupId.toString('hex')));
    ({ cursor } = page);
  } while (cursor !== undefined);
  expect(sizes).toEqual([2, 1]);
  expect(seen.toSorted()).toEqual(conversations.map(({ id }) => id).toSorted());
}, 60_000);
