import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newSecret, newUuid } from '#platform/ids.ts';
import { limits } from '#platform/limits.ts';
import { createCraftedConversation } from '../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../support/mls/crafted-conversation.ts';
import { craftExternalCommit } from '../support/mls/crafted-mls.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';

let bed: TestBed;
let alice: XrpcClient;
let bob: XrpcClient;
let nonMember: XrpcClient;

beforeAll(async () => {
  bed = await startTestBed();
  [alice, bob, nonMember] = [bed.client(), bed.client(), bed.client()];
});
afterAll(() => bed.stop());

const newHash = (): string => newSecret(32).toString('hex');
const newConversation = (): Promise<CraftedConversation> => createCraftedConversation(alice, [bob]);

/** Joins with an invite at this epoch. @returns the new epoch, or the error name. */
async function join(who: XrpcClient, to: CraftedConversation, pskHash: string, epoch = 0): Promise<number | string> {
  const externalCommit = craftExternalCommit({ groupId: to.groupId, epoch, did: who.did }).toString('base64');
  const result = await who
    .call('processExternalCommit', { convoId: to.convoId, externalCommit, pskHash })
    .catch((error: { error: string }) => error);
  return 'epoch' in result ? result.epoch : result.error;
}

describe('an invite', () => {
  test('has the values it was created with; members who may not create invites cannot list, create or revoke them', async () => {
    const { convoId } = await newConversation();
    const expiresAt = '2100-01-01T00:00:00.000Z';
    const pskHash = newHash();
    const made = await alice.call('createInvite', {
      convoId,
      pskHash: pskHash.toUpperCase(),
      targetDid: nonMember.did,
      expiresAt,
      maxUses: 3,
    });
    const { inviteId } = made;
    const view = {
      inviteId,
      convoId,
      createdBy: alice.did,
      createdAt: expect.any(String),
      pskHash,
      targetDid: nonMember.did,
      expiresAt,
      maxUses: 3,
      useCount: 0,
      isRevoked: false,
    };
    expect(made).toEqual({ inviteId, invite: view });
    const second = await alice.call('createInvite', { convoId, pskHash: newHash() });
    const { invites } = await alice.call('listInvites', { convoId });
    expect(invites).toEqual([second.invite, view]);
    for (const pskHashText of ['', 'ab', `${newHash()}00`, 'z'.repeat(64)]) {
      const refusal = await alice.refusal('createInvite', { convoId, pskHash: pskHashText });
      expect([refusal.status, refusal.error]).toEqual([400, 'InvalidPSKHash']);
    }
    expect((await bob.refusal('listInvites', { convoId })).error).toBe('NotAdmin');
    expect((await bob.refusal('createInvite', { convoId, pskHash })).error).toBe('NotAdmin');
    expect((await bob.refusal('revokeInvite', { inviteId })).error).toBe('NotAdmin');
    expect((await alice.call('listInvites', { convoId })).invites).toHaveLength(2);
  });

  test('may be created by members if the policy allows it, who then see and revoke their own', async () => {
    const { convoId } = await newConversation();
    await alice.call('updatePolicy', { convoId, adminOnlyInvites: false });
    const ofAlice = await alice.call('createInvite', { convoId, pskHash: newHash() });
    const ofBob = await bob.call('createInvite', { convoId, pskHash: newHash() });
    expect((await bob.call('listInvites', { convoId })).invites).toEqual([ofBob.invite]);
    expect((await alice.call('listInvites', { convoId })).invites).toEqual([ofBob.invite, ofAlice.invite]);
    expect((await bob.refusal('revokeInvite', { inviteId: ofAlice.inviteId })).error).toBe('NotAdmin');
    expect(await bob.call('revokeInvite', { inviteId: ofBob.inviteId })).toEqual({ success: true });
    await alice.call('updatePolicy', { convoId, allowInvites: false });
    for (const member of [alice, bob]) {
      const refusal = await member.refusal('createInvite', { convoId, pskHash: newHash() });
      expect([refusal.status, refusal.error]).toEqual([403, 'PolicyViolation']);
    }
  });

  test('is revoked once, by its id; for non-members it does not exist', async () => {
    const conversation = await newConversation();
    const { convoId } = conversation;
    const pskHash = newHash();
    const { inviteId } = await alice.call('createInvite', { convoId, pskHash });
    await alice.call('removeMember', { convoId, targetDid: bob.did, idempotencyKey: newUuid() });
    const unknown = [newUuid(), 'none', inviteId.toUpperCase()];
    const texts = await Promise.all([
      ...[nonMember, bob].map((client) => client.refusal('revokeInvite', { inviteId })),
      ...unknown.map((id) => alice.refusal('revokeInvite', { inviteId: id })),
    ]);
    expect(new Set(texts.map(({ status, body }) => JSON.stringify([status, body]))).size).toBe(1);
    expect([texts[0]?.status, texts[0]?.error]).toEqual([404, 'InviteNotFound']);
    expect(await alice.call('revokeInvite', { inviteId })).toEqual({ success: true });
    expect(await alice.refusal('revokeInvite', { inviteId })).toMatchObject({ status: 409, error: 'AlreadyRevoked' });
    expect(await join(nonMember, conversation, pskHash)).toBe('ConvoNotFound');
    expect((await alice.call('listInvites', { convoId })).invites).toEqual([]);
    const { invites } = await alice.call('listInvites', { convoId, includeRevoked: true });
    expect(invites).toEqual([
      expect.objectContaining({ inviteId, isRevoked: true, revokedBy: alice.did, revokedAt: expect.any(String) }),
    ]);
  });

  test('works only for its target, before its expiry and for its conversation', async () => {
    const conversation = await newConversation();
    const other = await newConversation();
    const { convoId } = conversation;
    const [targeted, expired, good] = [newHash(), newHash(), newHash()];
    await alice.call('createInvite', { convoId, pskHash: targeted, targetDid: nonMember.did });
    await alice.call('createInvite', { convoId, pskHash: expired, expiresAt: '2020-01-01T00:00:00.000Z' });
    await alice.call('createInvite', { convoId, pskHash: good });
    const guest = bed.client();
    for (const pskHash of [targeted, expired, newHash(), 'no hash']) {
      expect(await join(guest, conversation, pskHash)).toBe('ConvoNotFound');
    }
    expect(await join(guest, other, good)).toBe('ConvoNotFound');
    expect(await join(nonMember, conversation, targeted)).toBe(1);
    expect(await join(guest, conversation, good)).toBe('EpochMismatch');
    expect(await join(guest, conversation, good, 1)).toBe(2);
    const uses = (await alice.call('listInvites', { convoId })).invites.map(({ pskHash, useCount }) => [
      pskHash,
      useCount,
    ]);
    expect(uses).toEqual([
      [good, 1],
      [expired, 0],
      [targeted, 1],
    ]);
  });

  // Safe because uses are counted under the conversation's lock, in the transaction of the join.
  test('with two uses admits two of eight concurrent joiners', async () => {
    const conversation = await newConversation();
    const { convoId } = conversation;
    const pskHash = newHash();
    await alice.call('createInvite', { convoId, pskHash, maxUses: 2 });
    const guests = Array.from({ length: 8 }, () => bed.client());
    const outcomes = await Promise.all(
      guests.map(async (guest) => {
        for (let epoch = 0; epoch < 3; epoch++) {
          const outcome = await join(guest, conversation, pskHash, epoch);
          if (outcome !== 'EpochMismatch') return outcome;
        }
        return 'EpochMismatch';
      }),
    );
    expect(outcomes.filter((outcome) => typeof outcome === 'number').toSorted((a, b) => a - b)).toEqual([1, 2]);
    expect(outcomes.filter((outcome) => outcome === 'ConvoNotFound')).toHaveLength(6);
    const { invites } = await alice.call('listInvites', { convoId });
    expect(invites.map(({ useCount }) => useCount)).toEqual([2]);
  });

  test('is created once for one idempotency key', async () => {
    const { convoId } = await newConversation();
    const input = { convoId, pskHash: newHash(), idempotencyKey: newUuid() };
    const made = await Promise.all([alice.call('createInvite', input), alice.call('createInvite', input)]);
    expect(made[0]).toEqual(made[1]);
    const reused = await alice.refusal('createInvite', { ...input, pskHash: newHash() });
    expect([reused.status, reused.error]).toEqual([409, 'IdempotencyKeyReused']);
    expect((await alice.call('listInvites', { convoId })).invites).toHaveLength(1);
  });

  test('replaces an ended invite at the limit, and is refused if none has ended', async () => {
    const { convoId } = await newConversation();
    const make = (): Promise<{ inviteId: string }> => alice.call('createInvite', { convoId, pskHash: newHash() });
    const first = await make();
    // Concurrent calls are safe because the limit is counted under the conversation's lock.
    await Promise.all(Array.from({ length: limits.invitesPerConversationMax - 1 }, make));
    const refusal = await alice.refusal('createInvite', { convoId, pskHash: newHash() });
    expect([refusal.status, refusal.error]).toEqual([409, 'TooManyInvites']);
    await alice.call('revokeInvite', { inviteId: first.inviteId });
    await make();
    const { invites } = await alice.call('listInvites', { convoId, includeRevoked: true });
    expect(invites).toHaveLength(limits.invitesPerConversationMax);
  });

  test('is stored without its hash or its people in clear', async () => {
    const { convoId } = await newConversation();
    const pskHash = newHash();
    const { inviteId } = await alice.call('createInvite', { convoId, pskHash, targetDid: nonMember.did });
    await alice.call('revokeInvite', { inviteId });
    await alice.call('updatePolicy', { convoId, maxMembers: 10 });
    const { sql } = bed.database;
    const rows = await sql<{ row: string }[]>`
      SELECT i::text AS row FROM invites i UNION ALL SELECT p::text FROM policies p`;
    const text = rows.map(({ row }) => row).join('\n');
    expect(text).toContain(inviteId);
    for (const secret of [pskHash, alice.did, nonMember.did]) {
      expect(text).not.toContain(secret);
      expect(text).not.toContain(Buffer.from(secret).toString('hex'));
    }
  });
});
