import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { required } from '#platform/errors.ts';
import { createCraftedConversation, sendCrafted } from '../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../support/mls/crafted-conversation.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import { craftCommit } from '../support/mls/crafted-mls.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { ResponseOf, XrpcClient } from '../support/clients/xrpc-client.ts';

type RoleMethod = 'promoteAdmin' | 'demoteAdmin' | 'promoteModerator' | 'demoteModerator';
const roleMethods = ['promoteAdmin', 'demoteAdmin', 'promoteModerator', 'demoteModerator'] as const;

let bed: TestBed;
let alice: XrpcClient;
let bob: XrpcClient;
let carol: XrpcClient;
let nonMember: XrpcClient;

beforeAll(async () => {
  bed = await startTestBed();
  [alice, bob, carol, nonMember] = [bed.client(), bed.client(), bed.client(), bed.client()];
});
afterAll(() => bed.stop());

const newConversation = (): Promise<CraftedConversation> => createCraftedConversation(alice, [bob, carol]);

function refusalOf(client: XrpcClient, method: RoleMethod, convoId: string, target: XrpcClient): Promise<unknown[]> {
  return client.refusal(method, { convoId, targetDid: target.did }).then(({ status, error }) => [status, error]);
}

async function change(client: XrpcClient, method: RoleMethod, convoId: string, target: XrpcClient): Promise<unknown> {
  return client.call(method, { convoId, targetDid: target.did });
}

type View = ResponseOf<'getConvos'>['conversations'][number];

async function viewOf({ convoId }: CraftedConversation, member = alice): Promise<View> {
  const { conversations } = await member.call('getConvos', { limit: 100 });
  return required(
    conversations.find(({ groupId }) => groupId === convoId),
    'the conversation',
  );
}

async function rolesIn(conversation: CraftedConversation): Promise<Record<string, string>> {
  const names = new Map([alice, bob, carol].map(({ did }, index) => [did, ['alice', 'bob', 'carol'][index] ?? '']));
  const { members } = await viewOf(conversation);
  return Object.fromEntries(
    members.map(({ did, isAdmin, isModerator = false, promotedAt }) => [
      names.get(did) ?? '',
      `${isAdmin ? 'admin' : isModerator ? 'moderator' : 'member'}${promotedAt === undefined ? '' : ' promoted'}`,
    ]),
  );
}

describe('roles', () => {
  test('an admin promotes and demotes admins and moderators; every member sees it in the conversation', async () => {
    const conversation = await newConversation();
    const { convoId } = conversation;
    expect(await rolesIn(conversation)).toEqual({ alice: 'admin', bob: 'member', carol: 'member' });
    const { ok, promotedAt } = await alice.call('promoteAdmin', { convoId, targetDid: bob.did });
    expect([ok, Date.parse(promotedAt) % 60_000]).toEqual([true, 0]);
    expect(await alice.call('promoteModerator', { convoId, targetDid: carol.did })).toMatchObject({ ok: true });
    expect(await rolesIn(conversation)).toEqual({ alice: 'admin', bob: 'admin promoted', carol: 'moderator promoted' });
    expect(await change(bob, 'demoteAdmin', convoId, alice)).toEqual({ ok: true });
    expect(await change(bob, 'demoteModerator', convoId, carol)).toEqual({ ok: true });
    expect(await rolesIn(conversation)).toEqual({ alice: 'member', bob: 'admin promoted', carol: 'member' });
    expect(await change(bob, 'promoteModerator', convoId, carol)).toMatchObject({ ok: true });
    expect(await change(bob, 'promoteAdmin', convoId, carol)).toMatchObject({ ok: true });
    expect((await rolesIn(conversation))['carol']).toBe('admin promoted');
    const who = (await viewOf(conversation)).members.flatMap((member) => ('promotedBy' in member ? [member] : []));
    expect(who, 'the promoter is not stored').toEqual([]);
  });

  test('admins and moderators may demote themselves, but not the last admin', async () => {
    const conversation = await newConversation();
    const { convoId } = conversation;
    expect(await refusalOf(alice, 'demoteAdmin', convoId, alice)).toEqual([409, 'LastAdmin']);
    await change(alice, 'promoteModerator', convoId, carol);
    expect(await change(carol, 'demoteModerator', convoId, carol)).toEqual({ ok: true });
    await change(alice, 'promoteAdmin', convoId, bob);
    expect(await change(alice, 'demoteAdmin', convoId, alice)).toEqual({ ok: true });
    expect(await refusalOf(bob, 'demoteAdmin', convoId, bob)).toEqual([409, 'LastAdmin']);
    expect((await bob.refusal('leaveConvo', { convoId })).error).toBe('LastAdmin');
    expect(await rolesIn(conversation)).toEqual({ alice: 'member', bob: 'admin promoted', carol: 'member' });
  });

  test('promoting to the same role and demoting from another role have their own errors', async () => {
    const { convoId } = await newConversation();
    await change(alice, 'promoteModerator', convoId, bob);
    await change(alice, 'promoteAdmin', convoId, carol);
    expect(await refusalOf(alice, 'promoteModerator', convoId, bob)).toEqual([409, 'AlreadyModerator']);
    expect(await refusalOf(alice, 'promoteModerator', convoId, carol)).toEqual([409, 'IsAdmin']);
    expect(await refusalOf(alice, 'promoteAdmin', convoId, carol)).toEqual([409, 'AlreadyAdmin']);
    expect(await refusalOf(alice, 'demoteAdmin', convoId, bob)).toEqual([409, 'NotAdminTarget']);
    expect(await refusalOf(alice, 'demoteModerator', convoId, carol)).toEqual([409, 'NotModerator']);
    expect(await refusalOf(bob, 'demoteAdmin', convoId, bob)).toEqual([409, 'NotAdminTarget']);
  });

  test.for(roleMethods)('%s: members cannot change others, and no caller can change a non-member', async (method) => {
    const conversation = await newConversation();
    const { convoId } = conversation;
    await change(alice, 'promoteModerator', convoId, bob);
    const before = await rolesIn(conversation);
    for (const [caller, target] of [
      [bob, carol],
      [bob, alice],
      [carol, alice],
      [carol, nonMember],
    ] as const) {
      expect(await refusalOf(caller, method, convoId, target)).toEqual([403, 'NotAdmin']);
    }
    expect(await refusalOf(alice, method, convoId, nonMember)).toEqual([404, 'TargetNotMember']);
    expect(await rolesIn(conversation)).toEqual(before);
    await carol.call('leaveConvo', { convoId });
    expect(await refusalOf(alice, method, convoId, carol)).toEqual([404, 'TargetNotMember']);
    expect(await refusalOf(carol, method, convoId, alice)).toEqual([403, 'NotMember']);
    expect(await refusalOf(nonMember, method, convoId, alice)).toEqual([404, 'ConvoNotFound']);
  });

  test('a role ends with the membership: a person who is added again is a plain member', async () => {
    const conversation = await newConversation();
    const { convoId } = conversation;
    await change(alice, 'promoteAdmin', convoId, bob);
    await alice.call('removeMember', { convoId, targetDid: bob.did, idempotencyKey: 'one' });
    await alice.call('addMembers', { convoId, didList: [bob.did] });
    expect((await rolesIn(conversation))['bob']).toBe('member');
  });
});

describe('changes of role reach the members as events', () => {
  interface Heard {
    readonly did: string;
    readonly role: unknown;
  }
  const heardBy = (events: readonly { $type: string; action?: unknown; did?: string; role?: unknown }[]): Heard[] =>
    events.flatMap(({ action, did = '', role }) => (action === 'roleChanged' ? [{ did, role }] : []));

  test('each change once, in order, on every stream of a member and from a cursor, and not to others', async () => {
    const conversation = await newConversation();
    const { convoId } = conversation;
    const streams = await Promise.all([alice, bob, carol].map((member) => openEventStream(member, { convoId })));
    const ofNonMember = await openEventStream(nonMember);
    await sendCrafted(alice, conversation);
    for (const stream of streams) await stream.next('messageEvent');
    const { cursor } = required(streams[0], 'a stream');
    await change(alice, 'promoteModerator', convoId, bob);
    await change(alice, 'promoteAdmin', convoId, bob);
    await change(bob, 'demoteAdmin', convoId, alice);
    await change(bob, 'promoteModerator', convoId, carol);
    await change(carol, 'demoteModerator', convoId, carol);
    const expected = [
      { did: bob.did, role: 'moderator' },
      { did: bob.did, role: 'admin' },
      { did: alice.did, role: 'member' },
      { did: carol.did, role: 'moderator' },
      { did: carol.did, role: 'member' },
    ];
    await sendCrafted(alice, conversation);
    const replayed = await openEventStream(carol, { cursor });
    for (const stream of [...streams, replayed]) {
      await stream.next('messageEvent', ({ message }) => message.seq === 2);
      expect(heardBy(stream.events)).toEqual(expected);
    }
    const [first] = required(streams[0], 'a stream').events.filter((event) => 'action' in event);
    const { $type, cursor: own, ...fields } = required(first, 'an event');
    expect($type).toBe('blue.catbird.mls.subscribeConvoEvents#membershipChangeEvent');
    expect(fields).toEqual({ convoId, did: bob.did, action: 'roleChanged', role: 'moderator', epoch: 0 });
    // A stream that resumes after the first change gets the other four.
    const resumed = await openEventStream(bob, { cursor: own });
    await resumed.next('messageEvent', ({ message }) => message.seq === 2);
    expect(heardBy(resumed.events)).toEqual(expected.slice(1));
    expect(ofNonMember.events).toEqual([]);
    await Promise.all([...streams, ofNonMember, replayed, resumed].map((stream) => stream.close()));
  });

  test('a changed role leaves the stream open: later messages arrive, for the person and for the others', async () => {
    const conversation = await newConversation();
    const streams = await Promise.all([bob, carol].map((member) => openEventStream(member)));
    await change(alice, 'promoteAdmin', conversation.convoId, bob);
    await change(alice, 'demoteAdmin', conversation.convoId, bob);
    await sendCrafted(bob, conversation);
    for (const stream of streams) {
      const { message } = await stream.next('messageEvent');
      expect(message.convoId).toBe(conversation.convoId);
      await stream.close();
    }
  });

  test('a refused change writes no event, and a change is not sent to people who have left or join later', async () => {
    const conversation = await newConversation();
    const { convoId, groupId } = conversation;
    const streams = await Promise.all([carol, nonMember].map((client) => openEventStream(client)));
    await change(alice, 'promoteModerator', convoId, bob);
    await streams[0]?.next('membershipChangeEvent', ({ action }) => action === 'roleChanged');
    const eventCount = async (): Promise<number> => {
      const { sql } = bed.database;
      return (await sql`SELECT 1 FROM events WHERE group_id = ${groupId}`).length;
    };
    const before = await eventCount();
    expect(await refusalOf(alice, 'promoteModerator', convoId, bob)).toEqual([409, 'AlreadyModerator']);
    expect(await refusalOf(carol, 'promoteAdmin', convoId, carol)).toEqual([403, 'NotAdmin']);
    expect(await refusalOf(alice, 'demoteAdmin', convoId, alice)).toEqual([409, 'LastAdmin']);
    expect(await refusalOf(alice, 'promoteAdmin', convoId, nonMember)).toEqual([404, 'TargetNotMember']);
    expect(await eventCount()).toBe(before);
    await carol.call('leaveConvo', { convoId });
    await change(alice, 'promoteAdmin', convoId, bob);
    await alice.call('addMembers', { convoId, didList: [nonMember.did] });
    await sendCrafted(nonMember, conversation);
    await streams[1]?.next('messageEvent');
    expect(streams.map(({ events }) => heardBy(events))).toEqual([[{ did: bob.did, role: 'moderator' }], []]);
    await Promise.all(streams.map((stream) => stream.close()));
  });
});

describe('people who have left while their devices are still in the MLS group', () => {
  const commitAt = ({ groupId }: CraftedConversation, epoch: number): string =>
    craftCommit(groupId, epoch).toString('base64');
  const flagged = async (conversation: CraftedConversation): Promise<readonly string[] | undefined> =>
    (await viewOf(conversation)).needsRemovalCommit;

  test('are listed until a member commits their removal; sending messages works meanwhile', async () => {
    const conversation = await newConversation();
    const { convoId } = conversation;
    const removal = { convoId, targetDid: carol.did, idempotencyKey: 'two' };
    expect(await flagged(conversation)).toBeUndefined();
    await carol.call('leaveConvo', { convoId });
    expect(await flagged(conversation)).toEqual([carol.did]);
    expect((await viewOf(conversation)).members.map(({ did }) => did)).not.toContain(carol.did);
    expect((await sendCrafted(bob, conversation)).seq).toBe(1);

    expect((await bob.refusal('removeMember', { ...removal })).error, 'without a commit').toBe('NotAdmin');
    const stale = { ...removal, commit: commitAt(conversation, 7) };
    expect((await bob.refusal('removeMember', stale)).error).toBe('EpochMismatch');
    expect(await flagged(conversation)).toEqual([carol.did]);
    const commit = commitAt(conversation, 0);
    expect(await bob.call('removeMember', { ...removal, idempotencyKey: 'three', commit })).toEqual({
      ok: true,
      epochHint: 1,
    });
    expect(await flagged(conversation)).toBeUndefined();
    expect((await bob.refusal('removeMember', { ...removal, idempotencyKey: 'four' })).error).toBe('NotAdmin');
  });

  test('one commit removes several of them, also people removed without a commit', async () => {
    const conversation = await newConversation();
    const { convoId } = conversation;
    await carol.call('leaveConvo', { convoId });
    await alice.call('removeMember', { convoId, targetDid: bob.did, idempotencyKey: 'five' });
    expect((await flagged(conversation))?.toSorted()).toEqual([bob.did, carol.did].toSorted());
    const commit = commitAt(conversation, 0);
    for (const [index, targetDid] of [bob.did, carol.did].entries()) {
      await alice.call('removeMember', { convoId, targetDid, commit, idempotencyKey: `six${index}` });
    }
    expect(await flagged(conversation)).toBeUndefined();
    expect((await alice.call('getEpoch', { convoId })).currentEpoch).toBe(1);
  });

  test('people who are removed with a commit, or rejoin, are not listed', async () => {
    const conversation = await newConversation();
    const { convoId } = conversation;
    const removal = { convoId, targetDid: carol.did, idempotencyKey: 'seven' };
    await alice.call('removeMember', { ...removal, commit: commitAt(conversation, 0) });
    expect(await flagged(conversation)).toBeUndefined();
    await bob.call('leaveConvo', { convoId });
    await alice.call('addMembers', { convoId, didList: [bob.did], commit: commitAt(conversation, 1) });
    expect(await flagged(conversation)).toBeUndefined();
  });
});
