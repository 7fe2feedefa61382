import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newSecret, newUuid } from '#platform/ids.ts';
import { createCraftedConversation } from '../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../support/mls/crafted-conversation.ts';
import { craftCommit, craftExternalCommit } from '../support/mls/crafted-mls.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { ResponseOf, RequestOf, XrpcClient } from '../support/clients/xrpc-client.ts';

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

type Change = Omit<RequestOf<'updatePolicy'>, 'convoId'>;

/** Alice's conversation with Bob and Carol, and this policy. */
async function newConversation(change: Change = {}): Promise<CraftedConversation> {
  const conversation = await createCraftedConversation(alice, [bob, carol]);
  if (Object.keys(change).length > 0) await setPolicy(conversation, change);
  return conversation;
}

async function setPolicy(
  { convoId }: CraftedConversation,
  change: Change,
): Promise<ResponseOf<'updatePolicy'>['policy']> {
  return (await alice.call('updatePolicy', { convoId, ...change })).policy;
}

const defaults = {
  handshakes: 'any',
  allowInvites: true,
  adminOnlyInvites: true,
  allowMemberAdd: true,
  allowMemberRemove: false,
  requireAdminApproval: false,
  maxMembers: 1_000,
};

describe('a policy', () => {
  test('starts with defaults that every member sees; an admin changes only the fields of the call', async () => {
    const { convoId } = await newConversation();
    const { policy } = await bob.call('getPolicy', { convoId });
    expect(policy).toEqual({ convoId, ...defaults, updatedAt: expect.any(String) });
    const changed = await alice.call('updatePolicy', { convoId, maxMembers: 5, allowMemberRemove: true });
    const expected = { ...defaults, maxMembers: 5, allowMemberRemove: true, updatedBy: alice.did };
    expect(changed.policy).toMatchObject(expected);
    await alice.call('updatePolicy', { convoId, allowInvites: false });
    const seen = await carol.call('getPolicy', { convoId });
    expect(seen.policy).toEqual({ convoId, ...expected, allowInvites: false, updatedAt: expect.any(String) });
    expect(Date.parse(seen.policy.updatedAt) % 60_000).toBe(0);
  });

  test('is changed by admins only, with at least one field, and never below the number of members', async () => {
    const { convoId } = await newConversation();
    expect(await bob.refusal('updatePolicy', { convoId, maxMembers: 9 })).toMatchObject({
      status: 403,
      error: 'NotAdmin',
    });
    expect(await alice.refusal('updatePolicy', { convoId })).toMatchObject({ status: 400, error: 'NoFieldsProvided' });
    const tooFew = await alice.refusal('updatePolicy', { convoId, maxMembers: 2 });
    expect([tooFew.status, tooFew.error]).toEqual([400, 'InvalidMaxMembers']);
    for (const maxMembers of [1, 1_001]) {
      expect((await alice.refusal('updatePolicy', { convoId, maxMembers })).error).toBe('InvalidRequest');
    }
    expect((await alice.call('getPolicy', { convoId })).policy).toMatchObject(defaults);
    expect((await nonMember.refusal('getPolicy', { convoId })).error).toBe('ConvoNotFound');
    expect((await nonMember.refusal('updatePolicy', { convoId, maxMembers: 9 })).error).toBe('ConvoNotFound');
    await alice.call('removeMember', { convoId, targetDid: bob.did, idempotencyKey: newUuid() });
    expect((await bob.refusal('getPolicy', { convoId })).error).toBe('NotMember');
    expect((await bob.refusal('updatePolicy', { convoId, maxMembers: 9 })).error).toBe('NotMember');
  });
});

describe('a policy decides', () => {
  test.each([{ allowMemberAdd: false }, { requireAdminApproval: true }])('who adds members: %o', async (change) => {
    const conversation = await newConversation(change);
    const { convoId, groupId } = conversation;
    const add = { convoId, didList: [nonMember.did], commit: craftCommit(groupId, 0).toString('base64') };
    expect(await bob.refusal('addMembers', add)).toMatchObject({ status: 403, error: 'PolicyViolation' });
    expect(await bob.call('getEpoch', { convoId })).toMatchObject({ currentEpoch: 0 });
    const ownDevice = { ...add, didList: [carol.did] };
    expect(await bob.call('addMembers', ownDevice), 'a device of a member').toMatchObject({ newEpoch: 1 });
    expect(await alice.call('addMembers', { convoId, didList: [nonMember.did] })).toMatchObject({ success: true });
  });

  test('who removes members: all if allowMemberRemove is set, but only an admin removes an admin', async () => {
    const conversation = await newConversation();
    const { convoId } = conversation;
    const remove = (targetDid: string): RequestOf<'removeMember'> => ({
      convoId,
      targetDid,
      idempotencyKey: newUuid(),
    });
    expect((await bob.refusal('removeMember', remove(carol.did))).error).toBe('NotAdmin');
    await setPolicy(conversation, { allowMemberRemove: true });
    expect((await bob.refusal('removeMember', remove(alice.did))).error).toBe('NotAdmin');
    expect((await bob.refusal('leaveConvo', { convoId, targetDid: alice.did })).error).toBe('NotAdmin');
    expect((await bob.refusal('removeMember', remove(nonMember.did))).error).toBe('TargetNotMember');
    expect(await bob.call('removeMember', remove(carol.did))).toMatchObject({ ok: true });
    expect((await carol.refusal('getEpoch', { convoId })).error).toBe('NotMember');
  });

  test('how many members there may be, by addition and by external commit', async () => {
    const conversation = await newConversation({ maxMembers: 3 });
    const { convoId, groupId } = conversation;
    const full = await alice.refusal('addMembers', { convoId, didList: [nonMember.did] });
    expect([full.status, full.error]).toEqual([400, 'TooManyMembers']);
    const pskHash = newSecret(32).toString('hex');
    await alice.call('createInvite', { convoId, pskHash, maxUses: 1 });
    const commit = craftExternalCommit({ groupId, epoch: 0, did: nonMember.did });
    const join = { convoId, externalCommit: commit.toString('base64'), pskHash };
    expect((await nonMember.refusal('processExternalCommit', join)).error).toBe('TooManyMembers');
    expect((await alice.call('listInvites', { convoId })).invites[0]?.useCount, 'the refused join').toBe(0);
    await setPolicy(conversation, { maxMembers: 4 });
    expect(await nonMember.call('processExternalCommit', join)).toMatchObject({ epoch: 1 });
  });

  test.each([{ requireAdminApproval: true }, { allowInvites: false }])('whether invites work: %o', async (change) => {
    const conversation = await newConversation();
    const { convoId, groupId } = conversation;
    const pskHash = newSecret(32).toString('hex');
    await alice.call('createInvite', { convoId, pskHash });
    await setPolicy(conversation, change);
    const commit = craftExternalCommit({ groupId, epoch: 0, did: nonMember.did });
    const join = { convoId, externalCommit: commit.toString('base64'), pskHash };
    expect(await nonMember.refusal('processExternalCommit', join)).toMatchObject({
      status: 403,
      error: 'PolicyViolation',
    });
    expect((await nonMember.refusal('getGroupInfo', { convoId, pskHash })).error).toBe('PolicyViolation');
    const { pskHash: _secret, ...without } = join;
    expect((await nonMember.refusal('processExternalCommit', without)).error).toBe('ConvoNotFound');
    const own = craftExternalCommit({ groupId, epoch: 0, did: bob.did }).toString('base64');
    expect(await bob.call('processExternalCommit', { convoId, externalCommit: own })).toMatchObject({ epoch: 1 });
  });

  test('whether a person who left may rejoin without an admin', async () => {
    const conversation = await newConversation({ requireAdminApproval: true });
    const { convoId, groupId } = conversation;
    await bob.call('leaveConvo', { convoId });
    const externalCommit = craftExternalCommit({ groupId, epoch: 0, did: bob.did, removes: 1 }).toString('base64');
    expect((await bob.refusal('processExternalCommit', { convoId, externalCommit })).error).toBe('PolicyViolation');
    await setPolicy(conversation, { requireAdminApproval: false });
    expect(await bob.call('processExternalCommit', { convoId, externalCommit })).toMatchObject({ epoch: 1 });
    expect((await bob.call('getPolicy', { convoId })).policy.requireAdminApproval).toBe(false);
  });
});

// Safe because policy and members change under the same row lock, so each change is checked against the current policy.
test('a member limit that is lowered during additions applies to every later addition', async () => {
  for (let round = 0; round < 8; round++) {
    const conversation = await newConversation();
    const { convoId } = conversation;
    const newMembers = Array.from({ length: 6 }, () => bed.client().did);
    const add = (did: string): Promise<unknown> =>
      alice.call('addMembers', { convoId, didList: [did] }).catch((error: unknown) => error);
    const lower = alice.call('updatePolicy', { convoId, maxMembers: 5 }).catch((error: unknown) => error);
    await Promise.all([...newMembers.slice(0, 3).map(add), lower, ...newMembers.slice(3).map(add)]);
    const { policy } = await alice.call('getPolicy', { convoId });
    const { conversations } = await alice.call('getConvos', { limit: 100 });
    const members = conversations.find(({ groupId }) => groupId === convoId)?.members.length ?? 0;
    expect(members).toBeLessThanOrEqual(policy.maxMembers);
    expect(members).toBe(policy.maxMembers === 5 ? 5 : 9);
  }
});
