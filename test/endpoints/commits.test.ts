import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { required } from '#platform/errors.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import { craftedSuite as cipherSuite, createCraftedConversation } from '../support/crafted-conversation.ts';
import { craftCommit } from '../support/crafted-mls.ts';
import { openEventStream } from '../support/event-stream.ts';
import { MlsMember } from '../support/mls-member.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { XrpcClient } from '../support/xrpc-client.ts';

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

/** A group of Alice, who is its admin, and Bob, at epoch 1. */
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

describe('a commit that changes nobody', () => {
  test.for(['public', 'private'] as const)('fresh keys of a plain member, %s: the others apply it', async (wire) => {
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

  test('a Welcome for a further device of a member comes along', async () => {
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

  test('a Welcome for somebody who is no member is refused, with the commit', async () => {
    const { convoId, bob } = await pair();
    const carol = bed.client();
    await publish(carol, await MlsMember.create({ did: carol.did, cipherSuite }));
    const { keyPackages } = await bob.call('getKeyPackages', { dids: [carol.did], cipherSuite });
    const stranger = await MlsMember.create({ did: bob.did, cipherSuite });
    await stranger.createGroup(Buffer.from(convoId, 'hex'));
    const { welcome } = await stranger.addMembers(
      keyPackages.map(({ keyPackage }) => Buffer.from(keyPackage, 'base64')),
    );
    const commit = craftCommit(Buffer.from(convoId, 'hex'), 1);
    expect((await bob.refusal('commit', { convoId, commit, welcome })).error).toBe('InvalidWelcome');
    expect((await bob.call('getEpoch', { convoId })).currentEpoch).toBe(1);
  });

  test('the same bytes again get the first answer, also later and with an idempotency key', async () => {
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

  test('12 commits race for one epoch over two servers: one wins, also against addMembers', async () => {
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
    }
  });
});
