import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { limits } from '#platform/limits.ts';
import { required } from '#platform/errors.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import { craftClearProposal, proposals } from '../support/mls/clear-handshakes.ts';
import {
  craftedSuite as cipherSuite,
  createCraftedConversation,
  sendCrafted,
} from '../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../support/mls/crafted-conversation.ts';
import { craftCommit } from '../support/mls/crafted-mls.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import { MlsMember } from '../support/mls/mls-member.ts';
import { pad } from '#client/conversation/padding.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { RequestOf, XrpcClient } from '../support/clients/xrpc-client.ts';

let bed: TestBed;
let alice: XrpcClient;
let bob: XrpcClient;
beforeAll(async () => {
  bed = await startTestBed({ servers: 2 });
  [alice, bob] = [bed.client(), bed.client({ server: 1 })];
});
afterAll(() => bed.stop());

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

function sending(convoId: string, padded: Uint8Array, epoch = 0, msgId = newUuid()): RequestOf<'sendMessage'> {
  return { convoId, msgId, epoch, ciphertext: padded, paddedSize: padded.length };
}

interface Group extends CraftedConversation {
  readonly ofAlice: MlsMember;
  readonly ofBob: MlsMember;
}

/** A group at epoch 1 with Alice as leaf 0 and Bob as leaf 1, and its GroupInfo stored. */
async function realGroup(): Promise<Group> {
  const [ofAlice, ofBob] = await Promise.all([
    MlsMember.create({ did: alice.did, cipherSuite }),
    MlsMember.create({ did: bob.did, cipherSuite }),
  ]);
  const groupId = newSecret(16);
  await ofAlice.createGroup(groupId);
  const { welcome } = await ofAlice.addMembers([(await ofBob.createKeyPackage()).bytes]);
  ofAlice.acceptCommit();
  await ofBob.joinByWelcome(required(welcome, 'a Welcome'));
  const convoId = groupId.toString('hex');
  const groupInfo = base64(await ofAlice.exportGroupInfo());
  await alice.call('createConvo', {
    groupId: convoId,
    cipherSuite,
    initialMembers: [bob.did],
    currentEpoch: 1,
    groupInfo,
  });
  return { convoId, groupId, ofAlice, ofBob };
}

describe('a proposal as PublicMessage', () => {
  test('reaches the others unchanged, and can be committed by reference', async () => {
    const { convoId, ofAlice, ofBob } = await realGroup();
    const carol = bed.client();
    await alice.call('addMembers', { convoId, didList: [carol.did] });
    const stream = await openEventStream(alice, { convoId });
    const ofCarol = await MlsMember.create({ did: carol.did, cipherSuite });
    const padded = pad(await ofBob.proposeAddition((await ofCarol.createKeyPackage()).bytes));
    const sent = await bob.call('sendMessage', sending(convoId, padded, 1));
    expect(sent).toMatchObject({ seq: 1, epoch: 1 });
    const { message } = await stream.next('messageEvent');
    await stream.close();
    expect(message).toMatchObject({ messageType: 'app', seq: 1, epoch: 1, id: sent.messageId });
    expect(base64(message.ciphertext)).toBe(base64(padded));
    const { messages } = await alice.call('getMessages', { convoId });
    expect(messages.map(({ ciphertext }) => base64(ciphertext))).toEqual([base64(padded)]);
    await ofAlice.receive(message.ciphertext);
    const { commit, groupInfo } = await ofAlice.emptyCommit();
    expect(await alice.call('commit', { convoId, commit, groupInfo })).toMatchObject({ newEpoch: 2 });
    ofAlice.acceptCommit();
    expect(ofAlice.members()).toEqual([alice.did, bob.did, carol.did]);
  });

  test('to remove an admin changes nothing, and a plain member cannot commit it', async () => {
    const { convoId, ofAlice, ofBob } = await realGroup();
    const padded = pad(await ofBob.proposeRemoval(alice.did, { wire: 'public' }));
    await bob.call('sendMessage', sending(convoId, padded, 1));
    const { commit } = await ofBob.emptyCommit();
    const request = { convoId, didList: [bob.did], commit: base64(commit) };
    for (const refusal of [
      await bob.refusal('addMembers', request),
      await bob.refusal('commit', { convoId, commit }),
      await bob.refusal('leaveConvo', { convoId, commit: base64(commit) }),
    ]) {
      expect([refusal.error, refusal.body['message']]).toEqual([
        'InvalidCommit',
        expect.stringContaining('removes a leaf of a member'),
      ]);
    }
    expect(ofAlice.epoch).toBe((await alice.call('getEpoch', { convoId })).currentEpoch);
  });

  test('is stored sealed: the database contains neither its leaves nor its bytes', async () => {
    const { convoId, groupId } = await createCraftedConversation(alice, [bob]);
    const { padded, message } = craftClearProposal({ groupId, epoch: 0, leaf: 1, proposal: proposals.update(bob.did) });
    await bob.call('sendMessage', sending(convoId, padded));
    const [row] = await bed.database.sql`SELECT kind, body FROM messages WHERE group_id = ${groupId}`;
    expect(row).toMatchObject({ kind: 3 });
    const body: Buffer = row?.['body'];
    expect(body.length, 'its size is that of the bucket').toBe(padded.length + 30);
    expect(body.includes(bob.did) || body.includes(message.subarray(40, 60))).toBe(false);
  });

  test('has one seq for each msgId, shared with messages; another epoch is refused as for those', async () => {
    const conversation = await createCraftedConversation(alice, [bob]);
    const { convoId, groupId } = conversation;
    const proposed = (): Buffer =>
      craftClearProposal({ groupId, epoch: 0, leaf: 1, proposal: proposals.remove(0) }).padded;
    const first = await bob.call('sendMessage', sending(convoId, proposed()));
    const again = sending(convoId, proposed(), 0, first.messageId);
    expect(await bob.call('sendMessage', again)).toEqual(first);
    const message = await sendCrafted(alice, conversation, { msgId: first.messageId });
    expect(message.seq, 'the msgId of a proposal').toBe(first.seq);
    const next = await sendCrafted(alice, conversation);
    expect(next.seq).toBe(2);
    const reused = await bob.call('sendMessage', sending(convoId, proposed(), 0, next.messageId));
    expect(reused.seq, 'the msgId of a message').toBe(2);
    await alice.call('commit', { convoId, commit: craftCommit(groupId, 0) });
    expect(await bob.call('sendMessage', again), 'a retry after the epoch').toEqual(first);
    const late = await bob.refusal('sendMessage', sending(convoId, proposed()));
    expect([late.status, late.error, late.body['currentEpoch']]).toEqual([409, 'EpochMismatch', 1]);
  });

  test('must have a bucket size, and is never ephemeral', async () => {
    const { convoId, groupId } = await createCraftedConversation(alice, [bob]);
    const { padded } = craftClearProposal({ groupId, epoch: 0, leaf: 1, proposal: proposals.remove(0) });
    const ephemeral = await bob.refusal('sendMessage', { ...sending(convoId, padded), delivery: 'ephemeral' });
    expect([ephemeral.error, ephemeral.body['message']]).toEqual([
      'InvalidAsset',
      expect.stringContaining('ephemeral'),
    ]);
    expect((await bob.refusal('sendMessage', sending(convoId, Buffer.concat([padded, Buffer.alloc(1)])))).error).toBe(
      'InvalidAsset',
    );
  });

  test('is refused at the limit per epoch, until a commit starts the next epoch', async () => {
    const { convoId, groupId } = await createCraftedConversation(alice, [bob]);
    const { padded } = craftClearProposal({ groupId, epoch: 0, leaf: 1, proposal: proposals.remove(0) });
    await bob.call('sendMessage', sending(convoId, padded));
    await bed.database.sql`INSERT INTO messages (group_id, seq, epoch, kind, msg_id, received_at, body)
      SELECT group_id, 10000 + n, epoch, kind, 'x' || n, received_at, body
      FROM messages, generate_series(1, ${limits.clearProposalsPerEpochMax - 1}::int) n WHERE group_id = ${groupId}`;
    const full = await bob.refusal('sendMessage', sending(convoId, padded));
    expect([full.error, full.body['message']]).toEqual(['InvalidAsset', expect.stringContaining('method commit')]);
    await bed.database.sql`DELETE FROM messages WHERE group_id = ${groupId} AND seq > 10000`;
    await alice.call('commit', { convoId, commit: craftCommit(groupId, 0) });
    const next = craftClearProposal({ groupId, epoch: 1, leaf: 1, proposal: proposals.remove(0) });
    expect(await bob.call('sendMessage', sending(convoId, next.padded, 1))).toMatchObject({ epoch: 1 });
  });
});

describe('which sender may propose what', () => {
  let group: Group;
  beforeAll(async () => void (group = await realGroup()));

  const rows = [
    { name: 'a Remove', proposal: () => proposals.remove(0), outcome: 'ok' },
    { name: 'an Add of any DID', proposal: () => proposals.add('did:plc:anyone'), outcome: 'ok' },
    { name: 'an Add without a DID', proposal: () => proposals.add('anyone'), outcome: 'proposed leaf' },
    { name: 'an Update', proposal: () => proposals.update(bob.did), outcome: 'ok' },
    { name: 'an Update in another name', proposal: () => proposals.update(alice.did), outcome: 'proposed leaf' },
    { name: 'new context extensions', proposal: () => proposals.groupContextExtensions(), outcome: 'ok' },
    { name: 'an ExternalInit', proposal: () => proposals.externalInit(), outcome: 'sender type' },
    {
      name: 'a Remove by the leaf of another',
      leaf: 0,
      proposal: () => proposals.remove(1),
      outcome: 'a leaf of yours',
    },
    { name: 'a Remove by a blank leaf', leaf: 9, proposal: () => proposals.remove(1), outcome: 'a leaf of yours' },
    {
      name: 'an own device as new member',
      senderType: 'newMemberProposal',
      proposal: () => proposals.add(bob.did),
      outcome: 'ok',
    },
    {
      name: 'the device of another as new member',
      senderType: 'newMemberProposal',
      proposal: () => proposals.add(alice.did),
      outcome: 'proposed leaf',
    },
    {
      name: 'a Remove as new member',
      senderType: 'newMemberProposal',
      proposal: () => proposals.remove(0),
      outcome: 'sender type',
    },
    { name: 'a Remove as external sender', senderType: 'external', proposal: () => proposals.remove(0), outcome: 'ok' },
    {
      name: 'an Update as external sender',
      senderType: 'external',
      proposal: () => proposals.update(bob.did),
      outcome: 'sender type',
    },
  ] as const satisfies readonly {
    readonly name: string;
    readonly leaf?: number;
    readonly senderType?: 'newMemberProposal' | 'external';
    readonly proposal: () => Buffer;
    readonly outcome: string;
  }[];

  test.for(rows)('$name', async (row) => {
    const { convoId, groupId } = group;
    const leaf = 'leaf' in row ? row.leaf : 1;
    const senderType = 'senderType' in row ? row.senderType : 'member';
    const { padded } = craftClearProposal({ groupId, epoch: 1, leaf, senderType, proposal: row.proposal() });
    const request = sending(convoId, padded, 1);
    const [nonMember, removed] = [bed.client(), bed.client()];
    await alice.call('addMembers', { convoId, didList: [removed.did] });
    await removed.call('leaveConvo', { convoId });
    if (row.outcome !== 'sender type') {
      expect((await nonMember.refusal('sendMessage', request)).error).toBe('ConvoNotFound');
      expect((await removed.refusal('sendMessage', request)).error).toBe('NotMember');
    }
    if (row.outcome === 'ok') {
      expect(await bob.call('sendMessage', request)).toMatchObject({ epoch: 1 });
      return;
    }
    const refusal = await bob.refusal('sendMessage', request);
    expect([refusal.error, refusal.body['message']]).toEqual(['InvalidAsset', expect.stringContaining(row.outcome)]);
  });
});

// Safe because proposals, messages and commits all lock the conversation's counter row first.
test('proposals, messages and commits race on two servers: seq has no gaps, and each has the current epoch', async () => {
  const conversation = await createCraftedConversation(alice, [bob]);
  const { convoId, groupId } = conversation;
  let current = 0;
  const commitAll = async (): Promise<void> => {
    for (let epoch = 0; epoch < 15; epoch += 1) {
      await alice.call('commit', { convoId, commit: craftCommit(groupId, epoch) });
      current = epoch + 1;
      await systemClock.sleep(80);
    }
  };
  const attempt = async (task: Promise<unknown>): Promise<void> => {
    await task.catch((error: { error: string }) => expect(error.error).toBe('EpochMismatch'));
  };
  const proposeAll = async (): Promise<void> => {
    while (current < 15) {
      const { padded } = craftClearProposal({ groupId, epoch: current, leaf: 1, proposal: proposals.remove(0) });
      await attempt(bob.call('sendMessage', sending(convoId, padded, current)));
    }
  };
  const sendAll = async (client: XrpcClient): Promise<void> => {
    while (current < 15) await attempt(sendCrafted(client, conversation, { epoch: current }));
  };
  await Promise.all([commitAll(), proposeAll(), proposeAll(), sendAll(alice), sendAll(bob)]);
  const rows = await bed.database.sql<{ seq: number; epoch: number; kind: number }[]>`
    SELECT seq, epoch, kind FROM messages WHERE group_id = ${groupId} ORDER BY seq`;
  expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, index) => index + 1));
  let currentEpoch = 0;
  for (const { epoch, kind } of rows) {
    if (kind === 2) currentEpoch += 1;
    expect(epoch).toBe(currentEpoch);
  }
  expect(currentEpoch).toBe(15);
  expect(rows.filter(({ kind }) => kind === 3).length, 'the number of accepted proposals').toBeGreaterThan(5);
});
