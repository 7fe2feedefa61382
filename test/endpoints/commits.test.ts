import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { required } from '#platform/errors.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import { craftedSuite as cipherSuite, createCraftedConversation } from '../support/mls/crafted-conversation.ts';
import { craftCommit, craftExternalCommit } from '../support/mls/crafted-mls.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import { MlsMember } from '../support/mls/mls-member.ts';
import { pad } from '#client/conversation/padding.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { XrpcClient, XrpcFailure } from '../support/clients/xrpc-client.ts';

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed({ servers: 2 })));
afterAll(() => bed.stop());

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

async function publish(client: XrpcClient, device: MlsMember): Promise<void> {
  const { bytes } = await device.createKeyPackage();
  const expires = new Date(Date.now() + 86_400_000).toISOString();
  await client.call('publishKeyPackages', { keyPackages: [{ keyPackage: base64(bytes), cipherSuite, expires }] });
}

interface Pair {
  readonly convoId: string;
  readonly alice: XrpcClient;
  readonly bob: XrpcClient;
  readonly ofAlice: MlsMember;
  readonly ofBob: MlsMember;
}

/** A group at epoch 1 with Alice as admin, and Bob. */
async function pair(): Promise<Pair> {
  const [alice, bob] = [bed.client(), bed.client()];
  const [ofAlice, ofBob] = await Promise.all([alice, bob].map(({ did }) => MlsMember.create({ did, cipherSuite })));
  const [creator, joiner] = [required(ofAlice, 'Alice'), required(ofBob, 'Bob')];
  await publish(bob, joiner);
  const { keyPackages } = await alice.call('getKeyPackages', { dids: [bob.did], cipherSuite });
  const groupId = newSecret(16);
  await creator.createGroup(groupId);
  const { welcome } = await creator.addMembers(keyPackages.map(({ keyPackage }) => Buffer.from(keyPackage, 'base64')));
  const convoId = groupId.toString('hex');
  await alice.call('createConvo', {
    groupId: convoId,
    cipherSuite,
    initialMembers: [bob.did],
    welcomeMessage: base64(required(welcome, 'a Welcome')),
  });
  creator.acceptCommit();
  await joiner.joinByWelcome(Buffer.from((await bob.call('getWelcome', { convoId })).welcome, 'base64'));
  return { convoId, alice, bob, ofAlice: creator, ofBob: joiner };
}

/** A consistent GroupInfo of `epoch` in which all leaves belong to `by`. */
async function forge(by: MlsMember, convoId: string, epoch: number): Promise<Uint8Array> {
  const forger = by.inAnotherGroup();
  await forger.createGroup(Buffer.from(convoId, 'hex'));
  const second = await MlsMember.create({ did: by.did, cipherSuite });
  await forger.addMembers([(await second.createKeyPackage()).bytes]);
  for (forger.acceptCommit(); forger.epoch < epoch; forger.acceptCommit()) await forger.emptyCommit();
  return forger.exportGroupInfo();
}

describe('a commit that does not match its call', () => {
  test('a member who is no admin cannot remove an admin by the commit of any method', async () => {
    const { convoId, alice, bob, ofAlice, ofBob } = await pair();
    const groupInfo = base64(await ofAlice.exportGroupInfo());
    await alice.call('updateGroupInfo', { convoId, groupInfo, epoch: 1 });
    const { commit } = await ofBob.removeMember(alice.did);
    const [text, idempotencyKey] = [base64(commit), newUuid()];
    const refusals = [
      await bob.refusal('addMembers', { convoId, didList: [bob.did], commit: text }),
      await bob.refusal('commit', { convoId, commit }),
      await bob.refusal('leaveConvo', { convoId, commit: text }),
    ];
    for (const { error, body } of refusals) {
      expect([error, body['message']]).toEqual(['InvalidCommit', expect.stringContaining('a leaf of a member')]);
    }
    const target = { convoId, targetDid: alice.did, idempotencyKey, commit: text };
    expect((await bob.refusal('removeMember', target)).error).toBe('NotAdmin');
    expect((await alice.call('getEpoch', { convoId })).currentEpoch).toBe(1);
    const ownCommit = await ofAlice.emptyCommit();
    expect(await alice.call('commit', { convoId, commit: ownCommit.commit })).toMatchObject({ newEpoch: 2 });
  });

  test('without a GroupInfo of the epoch the error text names updateGroupInfo, and that call makes the commit succeed', async () => {
    const { convoId, alice, bob, ofAlice, ofBob } = await pair();
    const ofTablet = await MlsMember.create({ did: alice.did, cipherSuite });
    const added = await ofAlice.addMembers([(await ofTablet.createKeyPackage()).bytes]);
    await alice.call('commit', { convoId, commit: added.commit });
    ofAlice.acceptCommit();
    await ofBob.receive(added.commit);
    const removal = await ofAlice.removeLeaf(2);
    const refusal = await alice.refusal('commit', { convoId, commit: removal.commit });
    expect(refusal.body['message']).toContain('updateGroupInfo');
    const groupInfo = base64(await ofBob.exportGroupInfo());
    await bob.call('updateGroupInfo', { convoId, groupInfo, epoch: 2 });
    expect(await alice.call('commit', { convoId, commit: removal.commit })).toMatchObject({ newEpoch: 3 });
  });

  test("a commit is refused with a GroupInfo that claims other members' leaves for the committer", async () => {
    const { convoId, alice, bob, ofAlice, ofBob } = await pair();
    await alice.call('updateGroupInfo', { convoId, groupInfo: base64(await ofAlice.exportGroupInfo()), epoch: 1 });
    const forged = await forge(ofBob, convoId, 2);
    const { commit, groupInfo } = await ofBob.emptyCommit();
    const refusal = await bob.refusal('commit', { convoId, commit, groupInfo: forged });
    expect([refusal.error, refusal.body['message']]).toEqual([
      'InvalidGroupInfo',
      expect.stringContaining('other members'),
    ]);
    expect(await bob.call('commit', { convoId, commit, groupInfo })).toMatchObject({ newEpoch: 2 });
  });

  test('the service tracks the leaves through commits in clear, so a forged GroupInfo is refused in between', async () => {
    const { convoId, alice, bob, ofAlice, ofBob } = await pair();
    await alice.call('updateGroupInfo', { convoId, groupInfo: base64(await ofAlice.exportGroupInfo()), epoch: 1 });
    const tablet = await MlsMember.create({ did: alice.did, cipherSuite });
    const padded = pad(await ofBob.proposeAddition((await tablet.createKeyPackage()).bytes));
    const proposal = { convoId, msgId: newUuid(), epoch: 1, ciphertext: padded, paddedSize: padded.length };
    await bob.call('sendMessage', proposal);
    await ofAlice.receive(padded);
    for (let nth = 0; nth < 2; nth += 1) {
      const { commit } = await ofAlice.emptyCommit();
      await alice.call('commit', { convoId, commit });
      ofAlice.acceptCommit();
      await ofBob.receive(commit);
    }
    const groupInfo = base64(await forge(ofBob, convoId, 3));
    const refusal = await bob.refusal('updateGroupInfo', { convoId, groupInfo, epoch: 3 });
    expect([refusal.error, refusal.body['message']]).toEqual([
      'InvalidGroupInfo',
      expect.stringContaining('other members'),
    ]);
    const { commit } = await ofBob.removeLeaf(0);
    expect((await bob.refusal('commit', { convoId, commit })).body['message']).toContain('a leaf of a member');
    const good = base64(await ofBob.exportGroupInfo());
    const removal = await ofAlice.removeLeaf(2);
    expect(await alice.call('commit', { convoId, commit: removal.commit })).toMatchObject({ newEpoch: 4 });
    expect((await bob.refusal('updateGroupInfo', { convoId, groupInfo: good, epoch: 3 })).error).toBe('EpochMismatch');
  });

  test('an encrypted commit hides the leaves until a member stores the GroupInfo', async () => {
    const { convoId, alice, bob, ofAlice, ofBob } = await pair();
    await alice.call('updateGroupInfo', { convoId, groupInfo: base64(await ofAlice.exportGroupInfo()), epoch: 1 });
    const encrypted = await ofAlice.emptyCommit({ wire: 'private' });
    await alice.call('commit', { convoId, commit: encrypted.commit });
    ofAlice.acceptCommit();
    await ofBob.receive(encrypted.commit);
    const { commit } = await ofBob.removeMember(alice.did);
    expect((await bob.refusal('commit', { convoId, commit })).body['message']).toContain('updateGroupInfo');
    await bob.call('updateGroupInfo', { convoId, groupInfo: base64(await ofBob.exportGroupInfo()), epoch: 2 });
    expect((await bob.refusal('commit', { convoId, commit })).body['message']).toContain('a leaf of a member');
  });

  test('one commit of addMembers removes and adds a member who asked to be added again', async () => {
    const { convoId, alice, bob, ofAlice, ofBob } = await pair();
    await alice.call('updateGroupInfo', { convoId, groupInfo: base64(await ofAlice.exportGroupInfo()), epoch: 1 });
    const replacement = await MlsMember.create({ did: bob.did, cipherSuite });
    const packages = [(await replacement.createKeyPackage()).bytes];
    const { commit, welcome } = await ofAlice.replaceMember(ofBob.did, packages);
    const request = { convoId, didList: [bob.did], commit: base64(commit) };
    expect((await alice.refusal('addMembers', request)).body['message']).toContain('a leaf of a member');
    await bob.call('readdition', { convoId });
    expect(await alice.call('addMembers', request)).toMatchObject({ newEpoch: 2 });
    ofAlice.acceptCommit();
    await replacement.joinByWelcome(required(welcome, 'a Welcome'));
    expect(replacement.epochAuthenticator).toBe(ofAlice.epochAuthenticator);
  });
});

describe('the form of handshakes', () => {
  test('plaintext: encrypted handshakes are refused, and each commit needs its GroupInfo', async () => {
    const { convoId, alice, bob, ofAlice, ofBob } = await pair();
    await alice.call('updateGroupInfo', { convoId, groupInfo: base64(await ofAlice.exportGroupInfo()), epoch: 1 });
    expect((await alice.call('updatePolicy', { convoId, handshakes: 'plaintext' })).policy.handshakes).toBe(
      'plaintext',
    );
    expect((await bob.call('getPolicy', { convoId })).policy.handshakes).toBe('plaintext');
    const encrypted = await ofBob.emptyCommit({ wire: 'private' });
    const text = base64(encrypted.commit);
    const idempotencyKey = newUuid();
    const refusals = [
      await bob.refusal('commit', { convoId, commit: encrypted.commit, groupInfo: encrypted.groupInfo }),
      await bob.refusal('addMembers', { convoId, didList: [bob.did], commit: text }),
      await bob.refusal('leaveConvo', { convoId, commit: text }),
      await alice.refusal('removeMember', { convoId, targetDid: bob.did, idempotencyKey, commit: text }),
    ];
    ofBob.rejectCommit();
    const padded = pad(await ofBob.proposeRemoval(bob.did));
    const proposal = { convoId, msgId: newUuid(), epoch: 1, ciphertext: padded, paddedSize: padded.length };
    refusals.push(await bob.refusal('sendMessage', proposal));
    for (const { error, body } of refusals) {
      expect([error, body['message']]).toEqual(['PolicyViolation', expect.stringContaining('plaintext')]);
    }
    const { commit, groupInfo } = await ofAlice.emptyCommit();
    const bare = await alice.refusal('commit', { convoId, commit });
    expect([bare.error, bare.body['message']]).toEqual(['PolicyViolation', expect.stringContaining('groupInfo')]);
    expect(await alice.call('commit', { convoId, commit, groupInfo })).toMatchObject({ newEpoch: 2 });
  });

  test("encrypted: members' handshakes in clear are refused", async () => {
    const { convoId, alice, bob, ofAlice, ofBob } = await pair();
    await alice.call('updatePolicy', { convoId, handshakes: 'encrypted' });
    const { commit } = await ofBob.emptyCommit();
    const padded = pad(await ofBob.proposeRemoval(bob.did, { wire: 'public' }));
    const proposal = { convoId, msgId: newUuid(), epoch: 1, ciphertext: padded, paddedSize: padded.length };
    for (const refusal of [
      await bob.refusal('commit', { convoId, commit }),
      await bob.refusal('sendMessage', proposal),
    ]) {
      expect([refusal.error, refusal.body['message']]).toEqual([
        'PolicyViolation',
        expect.stringContaining('encrypted'),
      ]);
    }
    const laptop = await MlsMember.create({ did: bob.did, cipherSuite });
    await alice.call('updateGroupInfo', { convoId, groupInfo: base64(await ofAlice.exportGroupInfo()), epoch: 1 });
    const join = await laptop.externalJoin(await ofAlice.exportGroupInfo());
    await bob.call('processExternalCommit', { convoId, externalCommit: base64(join.commit) });
    expect((await bob.call('getEpoch', { convoId })).currentEpoch, 'external commits are always in clear').toBe(2);
  });

  test("the operator's setting overrides the admins' choice, and non-members do not see it", async () => {
    const strictBed = await startTestBed({ env: { HANDSHAKES: 'plaintext' } });
    try {
      const [alice, nonMember] = [strictBed.client(), strictBed.client()];
      const { convoId, groupId } = await createCraftedConversation(alice, []);
      const { policy } = await alice.call('updatePolicy', { convoId, handshakes: 'encrypted' });
      expect(policy.handshakes).toBe('plaintext');
      const commit = craftCommit(groupId, 0);
      expect((await alice.refusal('commit', { convoId, commit })).error).toBe('PolicyViolation');
      expect((await nonMember.refusal('commit', { convoId, commit })).error).toBe('ConvoNotFound');
    } finally {
      await strictBed.stop();
    }
  });
});

describe('an external commit', () => {
  test('removes only an old leaf of the joiner', async () => {
    const { convoId, alice, bob, ofAlice, ofBob } = await pair();
    await alice.call('updateGroupInfo', { convoId, groupInfo: base64(await ofAlice.exportGroupInfo()), epoch: 1 });
    const groupId = Buffer.from(convoId, 'hex');
    // It removes leaf 0, which is Alice's.
    const externalCommit = base64(craftExternalCommit({ groupId, epoch: 1, did: bob.did, removes: 1 }));
    const refusal = await bob.refusal('processExternalCommit', { convoId, externalCommit });
    expect([refusal.error, refusal.body['message']]).toEqual([
      'InvalidCommit',
      expect.stringContaining('not one of yours'),
    ]);
    const lost = ofBob.inAnotherGroup();
    const resync = await lost.externalJoin(await ofAlice.exportGroupInfo());
    expect(await bob.call('processExternalCommit', { convoId, externalCommit: base64(resync.commit) })).toMatchObject({
      epoch: 2,
    });
  });
});

describe('a commit that adds and removes no member', () => {
  test.for(['public', 'private'] as const)('a key update of a plain member, %s: the others apply it', async (wire) => {
    const { convoId, alice, bob, ofAlice, ofBob } = await pair();
    const { commit, groupInfo } = await ofBob.emptyCommit({ wire });
    const stream = await openEventStream(alice, { convoId });
    expect(await bob.call('commit', { convoId, commit, groupInfo })).toEqual({ success: true, newEpoch: 2 });
    ofBob.acceptCommit();
    const { message } = await stream.next('messageEvent');
    await stream.close();
    await ofAlice.receive(message.ciphertext);
    expect([ofAlice.epoch, ofAlice.epochAuthenticator]).toEqual([2, ofBob.epochAuthenticator]);
    const { commits } = await alice.call('getCommits', { convoId, fromEpoch: 2 });
    expect(commits.map(({ epoch, commitData }) => [epoch, base64(commitData)])).toEqual([[2, base64(commit)]]);
    expect(await alice.call('getGroupInfo', { convoId })).toMatchObject({ epoch: 2, groupInfo: base64(groupInfo) });
    const [convo] = (await alice.call('getConvos', {})).conversations;
    expect(convo?.members.map(({ did }) => did).toSorted()).toEqual([alice.did, bob.did].toSorted());
  });

  test('it may include a Welcome for another device of a member', async () => {
    const { convoId, bob, ofBob } = await pair();
    const laptop = await MlsMember.create({ did: bob.did, cipherSuite });
    await publish(bob, laptop);
    const { keyPackages } = await bob.call('getKeyPackages', { dids: [bob.did], cipherSuite });
    const { commit, welcome } = await ofBob.addMembers(
      keyPackages.map(({ keyPackage }) => Buffer.from(keyPackage, 'base64')),
    );
    await bob.call('commit', { convoId, commit, welcome });
    ofBob.acceptCommit();
    await laptop.joinByWelcome(Buffer.from((await bob.call('getWelcome', { convoId })).welcome, 'base64'));
    expect(laptop.epochAuthenticator).toBe(ofBob.epochAuthenticator);
  });

  test('a Welcome for a non-member is refused together with the commit', async () => {
    const { convoId, bob } = await pair();
    const carol = bed.client();
    await publish(carol, await MlsMember.create({ did: carol.did, cipherSuite }));
    const { keyPackages } = await bob.call('getKeyPackages', { dids: [carol.did], cipherSuite });
    const nonMember = await MlsMember.create({ did: bob.did, cipherSuite });
    await nonMember.createGroup(Buffer.from(convoId, 'hex'));
    const { welcome } = await nonMember.addMembers(
      keyPackages.map(({ keyPackage }) => Buffer.from(keyPackage, 'base64')),
    );
    const commit = craftCommit(Buffer.from(convoId, 'hex'), 1);
    expect((await bob.refusal('commit', { convoId, commit, welcome })).error).toBe('InvalidWelcome');
    expect((await bob.call('getEpoch', { convoId })).currentEpoch).toBe(1);
  });

  test('the same bytes again get the first result, also later and with an idempotency key', async () => {
    const [alice, bob] = [bed.client(), bed.client()];
    const { convoId, groupId } = await createCraftedConversation(alice, [bob]);
    const request = { convoId, commit: craftCommit(groupId, 0), idempotencyKey: newUuid() };
    expect(await alice.call('commit', request)).toEqual({ success: true, newEpoch: 1 });
    await bob.call('commit', { convoId, commit: craftCommit(groupId, 1) });
    expect(await alice.call('commit', request)).toEqual({ success: true, newEpoch: 1 });
    expect(await alice.call('commit', { ...request, idempotencyKey: undefined })).toMatchObject({ newEpoch: 1 });
    const other = { ...request, commit: craftCommit(groupId, 2) };
    expect((await alice.refusal('commit', other)).error).toBe('IdempotencyKeyReused');
    const lost = await alice.refusal('commit', { convoId, commit: craftCommit(groupId, 1) });
    expect([lost.status, lost.error, lost.body['currentEpoch']]).toEqual([409, 'EpochMismatch', 2]);
  });

  test('of 12 concurrent commits and additions for one epoch on two servers exactly one succeeds', async () => {
    const clients = Array.from({ length: 6 }, (_, index) => bed.client({ server: index % 2 }));
    const [alice, ...others] = clients;
    const { convoId, groupId } = await createCraftedConversation(required(alice, 'Alice'), others);
    for (let epoch = 0; epoch < 5; epoch += 1) {
      const outcomes = await Promise.allSettled(
        clients.flatMap((client) => [
          client.call('commit', { convoId, commit: craftCommit(groupId, epoch) }),
          client.call('addMembers', { convoId, didList: [client.did], commit: base64(craftCommit(groupId, epoch)) }),
        ]),
      );
      const won = outcomes.filter(({ status }) => status === 'fulfilled');
      expect(won.map((outcome) => outcome.status === 'fulfilled' && outcome.value)).toEqual([
        { success: true, newEpoch: epoch + 1 },
      ]);
      const lost = outcomes.flatMap((outcome) =>
        outcome.status === 'rejected' ? [outcome.reason as XrpcFailure] : [],
      );
      expect(lost.map(({ body }) => ({ error: body['error'], currentEpoch: body['currentEpoch'] }))).toEqual(
        lost.map(() => ({ error: 'EpochMismatch', currentEpoch: epoch + 1 })),
      );
    }
  });
});
