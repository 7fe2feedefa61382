import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newSecret, newUuid } from '#platform/ids.ts';
import { required } from '#platform/errors.ts';
import { craftedSuite } from '../support/mls/crafted-conversation.ts';
import { craftExternalCommit } from '../support/mls/crafted-mls.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import { MlsMember } from '../support/mls/mls-member.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { ResponseOf, XrpcClient, XrpcFailure } from '../support/clients/xrpc-client.ts';

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed({ servers: 2 })));
afterAll(() => bed.stop());

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

interface Person {
  readonly client: XrpcClient;
  readonly mls: MlsMember;
}

async function person(client = bed.client()): Promise<Person> {
  return { client, mls: await MlsMember.create({ did: client.did, cipherSuite: craftedSuite }) };
}

interface Group {
  readonly convoId: string;
  readonly groupId: Buffer;
  /** The creator, the only leaf of the MLS group so far. */
  readonly creator: Person;
}

/**
 * A group at epoch 0 with its GroupInfo; `members` are members of the conversation, but none of their devices is in the
 * group yet.
 */
async function newGroup(members: readonly Person[] = []): Promise<Group> {
  const creator = await person();
  const groupId = newSecret(16);
  await creator.mls.createGroup(groupId);
  const convoId = groupId.toString('hex');
  await creator.client.call('createConvo', {
    groupId: convoId,
    cipherSuite: craftedSuite,
    initialMembers: members.map(({ client }) => client.did),
    groupInfo: base64(await creator.mls.exportGroupInfo()),
  });
  return { convoId, groupId, creator };
}

interface JoinOptions {
  readonly pskHash?: string;
  readonly idempotencyKey?: string;
}

type Joined = ResponseOf<'processExternalCommit'>;

/** Fetches the GroupInfo and joins by external commit, once; on success the client is in the new epoch. */
async function join({ client, mls }: Person, convoId: string, options: JoinOptions = {}): Promise<Joined> {
  const { groupInfo } = await client.call('getGroupInfo', { convoId, pskHash: options.pskHash });
  const made = await mls.externalJoin(Buffer.from(groupInfo, 'base64'));
  const joined = await client.call('processExternalCommit', {
    convoId,
    externalCommit: base64(made.commit),
    groupInfo: base64(made.groupInfo),
    ...options,
  });
  mls.acceptCommit();
  return joined;
}

/** Applies every commit after the client's epoch. */
async function catchUp({ client, mls }: Person, convoId: string): Promise<void> {
  const { commits } = await client.call('getCommits', { convoId, fromEpoch: mls.epoch + 1 });
  for (const { commitData } of commits) await mls.receive(commitData);
}

async function rosterOf({ client }: Person, convoId: string): Promise<string[]> {
  const { conversations } = await client.call('getConvos', { limit: 100 });
  const conversation = conversations.find(({ groupId }) => groupId === convoId);
  return required(conversation, 'the conversation').members.map(({ did }) => did);
}

const refusalOf = async (task: Promise<unknown>): Promise<string> => {
  try {
    await task;
  } catch (error) {
    return (error as XrpcFailure).error;
  }
  return 'ok';
};

describe('who may join by external commit:', () => {
  test("a member with a new device, or who lost the state, and who then has the group's secrets", async () => {
    const bob = await person();
    const { convoId, creator } = await newGroup([bob]);
    const joined = await join(bob, convoId);
    expect([joined.epoch, Date.parse(joined.rejoinedAt) % 60_000]).toEqual([1, 0]);
    const restored = { client: bob.client, mls: bob.mls.inAnotherGroup() };
    expect((await join(restored, convoId)).epoch).toBe(2);
    await catchUp(creator, convoId);
    expect(creator.mls.members()).toEqual([creator.client.did, bob.client.did]);
    expect(creator.mls.epochAuthenticator).toBe(restored.mls.epochAuthenticator);
    expect(await rosterOf(creator, convoId)).toHaveLength(2);
    const nonMember = await person();
    expect(await refusalOf(join(nonMember, convoId))).toBe('ConvoNotFound');
  });

  test('a person who left, after a rejoin request; not a removed member, even with an invite', async () => {
    const [bob, carol] = [await person(), await person()];
    const { convoId, groupId, creator } = await newGroup([bob, carol]);
    await bob.client.call('leaveConvo', { convoId });
    await creator.client.call('removeMember', { convoId, targetDid: carol.client.did, idempotencyKey: newUuid() });
    expect(await refusalOf(bob.client.call('getGroupInfo', { convoId })), 'the roster').toBe('NotMember');
    const { bytes } = await bob.mls.createKeyPackage();
    await bob.client.call('rejoin', { convoId, keyPackage: base64(bytes) });
    expect((await join(bob, convoId)).epoch).toBe(1);
    expect(await rosterOf(creator, convoId)).toEqual([creator.client.did, bob.client.did]);

    const pskHash = newSecret(32).toString('hex');
    await creator.client.call('createInvite', { convoId, pskHash });
    expect(await refusalOf(carol.client.call('getGroupInfo', { convoId, pskHash }))).toBe('NotMember');
    const externalCommit = base64(craftExternalCommit({ groupId, epoch: 1, did: carol.client.did }));
    const refusal = carol.client.refusal('processExternalCommit', { convoId, externalCommit, pskHash });
    expect(await refusal).toMatchObject({ status: 403, error: 'NotMember' });
  });

  test('not a person who left and was then removed; a commit that only completes a leave does not count as a removal', async () => {
    const bob = await person();
    const { convoId, groupId, creator } = await newGroup([bob]);
    await bob.client.call('leaveConvo', { convoId });
    const removal = { convoId, targetDid: bob.client.did, idempotencyKey: newUuid() };
    await creator.client.call('removeMember', { ...removal, commit: base64((await creator.mls.emptyCommit()).commit) });
    const join = (epoch: number): { convoId: string; externalCommit: string } => ({
      convoId,
      externalCommit: base64(craftExternalCommit({ groupId, epoch, did: bob.client.did })),
    });
    expect(await bob.client.call('processExternalCommit', join(1))).toMatchObject({ epoch: 2 });
    await bob.client.call('leaveConvo', { convoId });
    await creator.client.call('removeMember', { ...removal, idempotencyKey: newUuid() });
    expect((await bob.client.refusal('processExternalCommit', join(2))).error).toBe('NotMember');
    await creator.client.call('addMembers', { convoId, didList: [bob.client.did] });
    expect(await rosterOf(bob, convoId), 'added again').toHaveLength(2);
  });

  test('a non-member with an invite, who becomes a member with the commit and gets events from then on', async () => {
    const { convoId, creator } = await newGroup();
    const dave = await person();
    const stream = await openEventStream(dave.client);
    const creatorStream = await openEventStream(creator.client);
    const pskHash = newSecret(32).toString('hex');
    await creator.client.call('createInvite', { convoId, pskHash });
    expect(await refusalOf(join(dave, convoId, { pskHash: newSecret(32).toString('hex') }))).toBe('ConvoNotFound');
    expect((await join(dave, convoId, { pskHash: pskHash.toUpperCase() })).epoch).toBe(1);
    const { message } = await stream.next('messageEvent');
    expect([message.messageType, message.epoch]).toEqual(['commit', 1]);
    for (const each of [stream, creatorStream]) {
      expect(await each.next('membershipChangeEvent')).toMatchObject({ did: dave.client.did, action: 'joined' });
    }
    await catchUp(creator, convoId);
    expect(creator.mls.members()).toEqual([creator.client.did, dave.client.did]);
    const { conversations } = await dave.client.call('getConvos', {});
    expect(conversations[0]?.members.map(({ did, isAdmin }) => [did, isAdmin])).toEqual([
      [creator.client.did, true],
      [dave.client.did, false],
    ]);
    expect((await dave.client.call('getMessages', { convoId })).messages.map(({ seq }) => seq)).toEqual([1]);
    await Promise.all([stream.close(), creatorStream.close()]);
  });

  test('an invite may be presented only by the id of an external PSK in the commit', async () => {
    const { convoId, groupId, creator } = await newGroup();
    const erin = bed.client();
    const psk = newSecret(32);
    await creator.client.call('createInvite', { convoId, pskHash: psk.toString('hex'), maxUses: 1 });
    const join = (pskId: Buffer, removes = 0): { convoId: string; externalCommit: string } => ({
      convoId,
      externalCommit: base64(craftExternalCommit({ groupId, epoch: 0, did: erin.did, pskIds: [pskId], removes })),
    });
    expect((await erin.refusal('processExternalCommit', join(newSecret(32)))).error).toBe('ConvoNotFound');
    const removing = await erin.refusal('processExternalCommit', join(psk, 1));
    expect(removing.error, 'the commit of a new member removes another member').toBe('InvalidCommit');
    expect(await erin.call('processExternalCommit', join(psk))).toMatchObject({ epoch: 1 });
  });
});

describe('an external commit', () => {
  test("must be an external commit of this group with the caller's credential; a refusal changes nothing", async () => {
    const bob = await person();
    const { convoId, groupId, creator } = await newGroup([bob]);
    const { did } = bob.client;
    const ofBob = { groupId, epoch: 0, did };
    const committed = await creator.mls.emptyCommit();
    creator.mls.rejectCommit();
    const bad: Record<string, Uint8Array | string> = {
      "a member's commit": committed.commit,
      'with the credential of another person': craftExternalCommit({ ...ofBob, did: creator.client.did }),
      'with a device in the credential': craftExternalCommit({ ...ofBob, did: `${did}#phone` }),
      'of another group': craftExternalCommit({ ...ofBob, groupId: newSecret(16) }),
      'that removes two leaves': craftExternalCommit({ ...ofBob, removes: 2 }),
      'with extra bytes at the end': Buffer.concat([craftExternalCommit(ofBob), Buffer.of(0)]),
      'that is no base64': '!',
    };
    for (const [name, bytes] of Object.entries(bad)) {
      const externalCommit = typeof bytes === 'string' ? bytes : base64(bytes);
      const refusal = await bob.client.refusal('processExternalCommit', { convoId, externalCommit });
      expect([refusal.status, refusal.error], name).toEqual([400, 'InvalidCommit']);
    }
    const good = base64(craftExternalCommit(ofBob));
    const stale = base64(await creator.mls.exportGroupInfo());
    for (const groupInfo of [stale, '!', base64(newSecret(200))]) {
      const refusal = await bob.client.refusal('processExternalCommit', { convoId, externalCommit: good, groupInfo });
      expect(refusal.error).toBe('InvalidGroupInfo');
    }
    expect(await bob.client.call('getEpoch', { convoId })).toMatchObject({ currentEpoch: 0 });
    expect((await bob.client.call('getMessages', { convoId })).messages).toEqual([]);
  });

  test('sent again gets its first result, by its bytes or its idempotency key', async () => {
    const bob = await person();
    const { convoId, groupId, creator } = await newGroup([bob]);
    const idempotencyKey = newUuid();
    const externalCommit = base64(craftExternalCommit({ groupId, epoch: 0, did: bob.client.did }));
    const input = { convoId, externalCommit, idempotencyKey };
    const results = await Promise.all(Array.from({ length: 4 }, () => bob.client.call('processExternalCommit', input)));
    expect(new Set(results.map(({ epoch }) => epoch))).toEqual(new Set([1]));
    expect(await bob.client.call('processExternalCommit', { convoId, externalCommit })).toMatchObject({ epoch: 1 });
    const another = base64(craftExternalCommit({ groupId, epoch: 1, did: bob.client.did }));
    const refusal = bob.client.refusal('processExternalCommit', { ...input, externalCommit: another });
    expect((await refusal).error).toBe('IdempotencyKeyReused');
    expect(await creator.client.call('getEpoch', { convoId })).toMatchObject({ currentEpoch: 1 });
  });

  test('makes the stored GroupInfo unavailable unless the call includes a new one', async () => {
    const bob = await person();
    const { convoId, groupId, creator } = await newGroup([bob]);
    const externalCommit = base64(craftExternalCommit({ groupId, epoch: 0, did: bob.client.did }));
    await bob.client.call('processExternalCommit', { convoId, externalCommit });
    for (const { client } of [bob, creator]) {
      expect((await client.refusal('getGroupInfo', { convoId })).error).toBe('GroupInfoUnavailable');
    }
  });
});

// Safe because the epoch is compared under the conversation's row lock, and the GroupInfo is stored with its commit.
test('16 people of every kind commit for one epoch concurrently: one succeeds each time, and all have joined at the end', async () => {
  const people = await Promise.all(Array.from({ length: 16 }, () => person()));
  const [members, departed, invited] = [people.slice(0, 6), people.slice(6, 10), people.slice(10)];
  const { convoId, creator } = await newGroup([...members, ...departed]);
  for (const { client, mls } of departed) {
    await client.call('leaveConvo', { convoId });
    await client.call('rejoin', { convoId, keyPackage: base64((await mls.createKeyPackage()).bytes) });
  }
  const pskHash = newSecret(32).toString('hex');
  const { inviteId } = await creator.client.call('createInvite', { convoId, pskHash, maxUses: invited.length });

  const losses: number[] = [];
  const race = async (one: Person, index: number): Promise<number> => {
    const at = { client: bed.client({ account: one.client.account, server: index % 2 }), mls: one.mls };
    for (let attempt = 0; attempt < 64; attempt++) {
      try {
        return (await join(at, convoId, invited.includes(one) ? { pskHash } : {})).epoch;
      } catch (error) {
        const { error: name, body } = error as XrpcFailure;
        expect(name).toBe('EpochMismatch');
        losses.push(Number(body['currentEpoch']));
        one.mls.rejectCommit();
      }
    }
    return expect.fail('did not join');
  };
  const epochs = await Promise.all(people.map(race));
  expect(epochs.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 16 }, (_, index) => index + 1));
  expect(losses.length, 'the number of lost races').toBeGreaterThanOrEqual(15);
  expect(losses.every((epoch) => epoch >= 1 && epoch <= 16)).toBe(true);

  await catchUp(creator, convoId);
  const allDids = [creator, ...people].map(({ client }) => client.did).toSorted();
  expect(creator.mls.members().toSorted()).toEqual(allDids);
  expect((await rosterOf(creator, convoId)).toSorted()).toEqual(allDids);
  const last = required(people[epochs.indexOf(16)], 'the last one to join');
  expect(last.mls.epochAuthenticator).toBe(creator.mls.epochAuthenticator);
  const { invites } = await creator.client.call('listInvites', { convoId });
  expect(invites.map((invite) => [invite.inviteId, invite.useCount])).toEqual([[inviteId, invited.length]]);
});
