import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MethodName } from '#client/api/methods.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import { limits } from '#platform/limits.ts';
import { craftCommit, craftExternalCommit, craftWelcome } from '../support/mls/crafted-mls.ts';
import {
  craftedSuite,
  craftMessage,
  createCraftedConversation,
  sendCrafted,
} from '../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../support/mls/crafted-conversation.ts';
import { MlsMember } from '../support/mls/mls-member.ts';
import { openRawSocket, StreamRefused } from '../support/clients/raw-streams.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { errorNameOf, rawRequest } from '../support/clients/xrpc-client.ts';
import type { RawResponse, XrpcClient } from '../support/clients/xrpc-client.ts';
import { projectRoot } from '../conventions/source-tree.ts';

let bed: TestBed;
let alice: XrpcClient;
let bob: XrpcClient;
let nonMember: XrpcClient;

beforeAll(async () => {
  bed = await startTestBed();
  [alice, bob, nonMember] = [bed.client(), bed.client(), bed.client()];
});
afterAll(() => bed.stop());

/** A well-formed call of every method that names a conversation. */
const callsOn = {
  addMembers: (to) =>
    rawRequest('addMembers', {
      convoId: to.convoId,
      didList: [nonMember.did],
      commit: craftCommit(to.groupId, 0).toString('base64'),
    }),
  commit: ({ convoId, groupId }) => rawRequest('commit', { convoId, commit: craftCommit(groupId, 0) }),
  confirmWelcome: ({ convoId }) => rawRequest('confirmWelcome', { convoId, success: true }),
  createInvite: ({ convoId }) => rawRequest('createInvite', { convoId, pskHash: newSecret(32).toString('hex') }),
  demoteAdmin: ({ convoId }) => rawRequest('demoteAdmin', { convoId, targetDid: alice.did }),
  demoteModerator: ({ convoId }) => rawRequest('demoteModerator', { convoId, targetDid: nonMember.did }),
  getAdminStats: ({ convoId }) => rawRequest('getAdminStats', { convoId }),
  getBlockStatus: ({ convoId }) => rawRequest('getBlockStatus', { convoId }),
  getCommits: ({ convoId }) => rawRequest('getCommits', { convoId, fromEpoch: 9, toEpoch: 1 }),
  getEpoch: ({ convoId }) => rawRequest('getEpoch', { convoId }),
  getGroupInfo: ({ convoId }) => rawRequest('getGroupInfo', { convoId }),
  getMessages: ({ convoId }) => rawRequest('getMessages', { convoId, sinceSeq: 0 }),
  getPolicy: ({ convoId }) => rawRequest('getPolicy', { convoId }),
  getReports: ({ convoId }) => rawRequest('getReports', { convoId }),
  getSubscriptionTicket: ({ convoId }) => rawRequest('getSubscriptionTicket', { convoId }),
  getWelcome: ({ convoId }) => rawRequest('getWelcome', { convoId }),
  groupInfoRefresh: ({ convoId }) => rawRequest('groupInfoRefresh', { convoId }),
  invalidateWelcome: ({ convoId }) => rawRequest('invalidateWelcome', { convoId, reason: 'NoMatchingKeyPackage' }),
  leaveConvo: (to) =>
    rawRequest('leaveConvo', { convoId: to.convoId, commit: craftCommit(to.groupId, 0).toString('base64') }),
  listInvites: ({ convoId }) => rawRequest('listInvites', { convoId }),
  processExternalCommit: ({ convoId, groupId }, { did }) =>
    rawRequest('processExternalCommit', {
      convoId,
      externalCommit: craftExternalCommit({ groupId, epoch: 0, did }).toString('base64'),
      pskHash: newSecret(32).toString('hex'),
    }),
  promoteAdmin: ({ convoId }) => rawRequest('promoteAdmin', { convoId, targetDid: nonMember.did }),
  promoteModerator: ({ convoId }) => rawRequest('promoteModerator', { convoId, targetDid: alice.did }),
  readdition: ({ convoId }) => rawRequest('readdition', { convoId }),
  rejoin: ({ convoId }) => rawRequest('rejoin', { convoId, keyPackage: newSecret(200).toString('base64') }),
  removeMember: ({ convoId }) =>
    rawRequest('removeMember', { convoId, targetDid: alice.did, idempotencyKey: newUuid() }),
  reportMember: ({ convoId }, { did }) =>
    rawRequest('reportMember', { convoId, reportedDid: did, category: 'spam', encryptedContent: newSecret(64) }),
  sendMessage: (to) => rawRequest('sendMessage', craftMessage(to)),
  streamConvoEvents: ({ convoId }) => ({ search: `?convoId=${convoId}` }),
  updateCursor: ({ convoId }) => rawRequest('updateCursor', { convoId, cursor: 'bm9uZSBvZiBvdXJz' }),
  updatePolicy: ({ convoId }) => rawRequest('updatePolicy', { convoId, maxMembers: 2 }),
  updateGroupInfo: ({ convoId }) =>
    rawRequest('updateGroupInfo', { convoId, groupInfo: newSecret(200).toString('base64'), epoch: 0 }),
  warnMember: ({ convoId }) => rawRequest('warnMember', { convoId, memberDid: alice.did, reason: 'Be kind.' }),
} as const satisfies Partial<
  Record<
    MethodName | 'streamConvoEvents',
    (to: CraftedConversation, caller: XrpcClient) => ReturnType<typeof rawRequest>
  >
>;

/** Status, body and the headers that could distinguish two responses. */
function comparable({ status, headers, text }: RawResponse): unknown {
  const varying = ['date', 'x-request-id', 'ratelimit-remaining', 'ratelimit-reset'];
  return { status, text, headers: [...headers].filter(([name]) => !varying.includes(name)) };
}

async function streamRefusal(client: XrpcClient, convoId: string): Promise<[number, string] | 'opened'> {
  const { ticket } = await client.call('getSubscriptionTicket', {});
  try {
    await (await openRawSocket(client, { convoId, ticket })).close();
    return 'opened';
  } catch (error) {
    if (error instanceof StreamRefused) return [error.status, error.error];
    throw error;
  }
}

describe('a person who is not in a conversation', () => {
  test('every method of the contract that names a conversation is called here', () => {
    const folder = join(projectRoot, 'lexicons/blue/catbird/mls');
    const naming = readdirSync(folder).filter((file) => {
      const { defs } = JSON.parse(readFileSync(join(folder, file), 'utf8'));
      return (
        (defs.main?.input?.schema?.properties?.convoId ?? defs.main?.parameters?.properties?.convoId) !== undefined
      );
    });
    const called = [...Object.keys(callsOn), 'subscribeConvoEvents'];
    expect(called.toSorted()).toEqual(naming.map((file) => file.replace('.json', '')).toSorted());
  });

  test.each(Object.entries(callsOn))(
    '%s: a non-member gets the same response, byte for byte, as for a conversation that does not exist',
    async (name, call) => {
      const real = await createCraftedConversation(alice, [bob]);
      await sendCrafted(alice, real);
      const groupId = newSecret(16);
      const responses = [
        await nonMember.raw(name, call(real, nonMember)),
        await nonMember.raw(name, call({ groupId, convoId: groupId.toString('hex') }, nonMember)),
      ];
      expect(responses.map((response) => [response.status, errorNameOf(response)])).toEqual([
        [404, 'ConvoNotFound'],
        [404, 'ConvoNotFound'],
      ]);
      const [ofReal, ofNone] = responses.map(comparable);
      expect(ofReal).toEqual(ofNone);
      expect(await bob.call('getEpoch', { convoId: real.convoId })).toMatchObject({ currentEpoch: 0 });
    },
  );

  test.each(Object.entries(callsOn))('%s: a removed member gets NotMember', async (name, call) => {
    const conversation = await createCraftedConversation(alice, [bob]);
    const { convoId } = conversation;
    await alice.call('removeMember', { convoId, targetDid: bob.did, idempotencyKey: newUuid() });
    const { status, text } = await bob.raw(name, call(conversation, bob));
    expect([status, JSON.parse(text)]).toEqual([403, { error: 'NotMember', message: expect.any(String) }]);
  });

  test('a stream of one conversation opens for members only', async () => {
    const { convoId } = await createCraftedConversation(alice, [bob]);
    await alice.call('removeMember', { convoId, targetDid: bob.did, idempotencyKey: newUuid() });
    expect(await streamRefusal(alice, convoId)).toBe('opened');
    expect(await streamRefusal(bob, convoId)).toEqual([403, 'NotMember']);
    expect(await streamRefusal(nonMember, convoId)).toEqual([404, 'ConvoNotFound']);
    expect(await streamRefusal(nonMember, newSecret(16).toString('hex'))).toEqual([404, 'ConvoNotFound']);
  });
});

describe('a request for an earlier state', () => {
  test('a send and a commit of a past epoch get 409 EpochMismatch with the current epoch, and change nothing', async () => {
    const conversation = await createCraftedConversation(alice, [bob]);
    const { convoId, groupId } = conversation;
    const commit = (): string => craftCommit(groupId, 0).toString('base64');
    expect(await alice.call('addMembers', { convoId, didList: [bed.client().did], commit: commit() })).toMatchObject({
      newEpoch: 1,
    });
    const refusals = [
      await bob.refusal('sendMessage', craftMessage(conversation)),
      await bob.refusal('sendMessage', craftMessage(conversation, { delivery: 'ephemeral' })),
      await bob.refusal('addMembers', { convoId, didList: [nonMember.did], commit: commit() }),
    ];
    for (const { status, body } of refusals) {
      expect([status, body]).toEqual([409, { error: 'EpochMismatch', message: expect.any(String), currentEpoch: 1 }]);
    }
    const { messages } = await bob.call('getMessages', { convoId });
    expect(messages.map(({ seq, messageType }) => [seq, messageType])).toEqual([[1, 'commit']]);
    const { commits } = await bob.call('getCommits', { convoId, fromEpoch: 1 });
    expect(commits.map(({ epoch }) => epoch)).toEqual([1]);
  });

  test('a msgId sent again returns the first result, with any other content', async () => {
    const conversation = await createCraftedConversation(alice, [bob]);
    const msgId = newUuid();
    const first = await sendCrafted(alice, conversation, { msgId });
    await sendCrafted(bob, conversation);
    expect(await sendCrafted(alice, conversation, { msgId, sizeBytes: 1_024 })).toEqual(first);
    expect(await sendCrafted(bob, conversation, { msgId })).toEqual(first);
    expect((await bob.call('getMessages', { convoId: conversation.convoId })).messages).toHaveLength(2);
  });

  test('a repeated createConvo returns the conversation unchanged; another person cannot use its id', async () => {
    const groupId = newSecret(16).toString('hex');
    const input = { groupId, cipherSuite: craftedSuite, initialMembers: [bob.did], metadata: { name: 'Choir' } };
    const created = await alice.call('createConvo', input);
    const again = await Promise.all(Array.from({ length: 5 }, () => alice.call('createConvo', input)));
    expect(again).toEqual(Array.from({ length: 5 }, () => created));
    expect(created).toMatchObject({ groupId, creator: alice.did, epoch: 0, metadata: { name: 'Choir' } });
    expect(
      (await bob.call('getConvos', {})).conversations.filter((conversation) => conversation.groupId === groupId),
    ).toEqual([created]);
    expect(await nonMember.refusal('createConvo', input)).toMatchObject({ status: 409, error: 'ConvoAlreadyExists' });
  });
});

describe('an invalid request', () => {
  test("a body above the method's limit gets 413, with or without Content-Length", async () => {
    const body = Buffer.alloc(limits.smallBodySizeBytesMax + 1, ' ');
    expect(await alice.raw('updateCursor', { body })).toMatchObject({
      status: 413,
      text: expect.stringContaining('PayloadTooLarge'),
    });
    const chunks = new Blob([body]).stream();
    const headers = { Authorization: `Bearer ${alice.token('updateCursor')}`, 'Content-Type': 'application/json' };
    const url = `${bed.server().url}/xrpc/blue.catbird.mls.updateCursor`;
    expect((await fetch(url, { method: 'POST', headers, body: chunks, duplex: 'half' })).status).toBe(413);
    const large = {
      ...craftMessage({ convoId: '00', groupId: Buffer.alloc(1) }),
      ciphertext: new Uint8Array(limits.requestBodySizeBytesMax),
    };
    expect(await alice.refusal('sendMessage', large)).toMatchObject({ status: 413, error: 'PayloadTooLarge' });
  });

  test('another verb gets 405 with the right one, an unknown method gets 501', async () => {
    const wrong = await alice.raw('getEpoch', { verb: 'POST', body: '{}', search: '?convoId=00' });
    expect([wrong.status, wrong.headers.get('allow'), errorNameOf(wrong)]).toEqual([405, 'GET', 'MethodNotAllowed']);
    const other = await alice.raw('sendMessage', { verb: 'GET' });
    expect([other.status, other.headers.get('allow')]).toEqual([405, 'POST']);
    const unknown = await alice.raw('sendReaction', { body: '{}' });
    expect([unknown.status, errorNameOf(unknown)]).toEqual([501, 'MethodNotImplemented']);
  });

  test.each([
    ['a parameter is missing', 'getEpoch', { search: '' }, 'params.convoId is required.'],
    ['a number is too large', 'getMessages', { search: '?convoId=00&limit=101' }, 'params.limit must be at most 100.'],
    [
      'a DID is invalid',
      'addMembers',
      { body: JSON.stringify({ convoId: '00', didList: ['no-did'] }) },
      'input.didList[0] must be a valid did.',
    ],
    [
      'bytes are text',
      'sendMessage',
      { body: JSON.stringify({ convoId: '00', msgId: 'a', epoch: 0, paddedSize: 512, ciphertext: 'aa' }) },
      'input.ciphertext must be {"$bytes": base64}.',
    ],
  ])('when %s the error names the field and the rule', async (_what, name, request, message) => {
    const { status, text } = await alice.raw(name, request);
    expect([status, JSON.parse(text)]).toEqual([400, { error: 'InvalidRequest', message }]);
  });
});

describe('key packages', () => {
  interface Device {
    readonly client: XrpcClient;
    readonly mls: MlsMember;
  }

  async function newDevice(packages: { ordinary: number; lastResort?: boolean }): Promise<Device> {
    const client = bed.client();
    const mls = await MlsMember.create({ did: client.did, cipherSuite: craftedSuite });
    const upload = async (
      lastResort: boolean,
    ): Promise<{ keyPackage: string; cipherSuite: string; expires: string }> => ({
      keyPackage: Buffer.from(
        (await mls.createKeyPackage(lastResort ? { lastResort: 'extension' } : {})).bytes,
      ).toString('base64'),
      cipherSuite: craftedSuite,
      expires: new Date(Date.now() + 86_400_000).toISOString(),
    });
    const kinds = [
      ...Array.from({ length: packages.ordinary }, () => false),
      ...(packages.lastResort === true ? [true] : []),
    ];
    await client.call('registerDevice', {
      deviceName: 'phone',
      signaturePublicKey: mls.device.signaturePublicKey,
      keyPackages: await Promise.all(kinds.map(upload)),
    });
    return { client, mls };
  }

  const claimBy = async (caller: XrpcClient, owner: Device): Promise<string[]> =>
    (await caller.call('getKeyPackages', { dids: [owner.client.did], cipherSuite: craftedSuite })).keyPackages.map(
      ({ keyPackageHash }) => keyPackageHash ?? '',
    );

  test('each is handed out to one caller; the last-resort package is returned repeatedly when only the reserve is left', async () => {
    const owner = await newDevice({ ordinary: 4, lastResort: true });
    const claims = await Promise.all(Array.from({ length: 6 }, () => claimBy(bed.client(), owner)));
    const handedOut = claims.flat();
    expect(handedOut).toHaveLength(6);
    const [lastResort] = handedOut.filter((ref, index) => handedOut.indexOf(ref) !== index);
    const ordinary = handedOut.filter((ref) => ref !== lastResort);
    expect([new Set(ordinary).size, handedOut.filter((ref) => ref === lastResort).length]).toEqual([3, 3]);
    expect(await claimBy(bed.client(), owner)).toEqual([lastResort]);
  });

  test('a caller who repeats the call gets the same package; an owner without packages is listed as missing', async () => {
    const owner = await newDevice({ ordinary: 1 });
    expect(await claimBy(alice, owner)).toEqual(await claimBy(alice, owner));
    const { keyPackages, missing } = await bob.call('getKeyPackages', {
      dids: [owner.client.did],
      cipherSuite: craftedSuite,
    });
    expect([keyPackages, missing]).toEqual([[], [owner.client.did]]);
  });

  // Safe because the packages are locked and checked in the transaction of the commit.
  test('a Welcome with a package that was handed out to another caller gets KeyPackageNotFound, and the call has no effect', async () => {
    const [admin, other, joiner, second] = [
      await newDevice({ ordinary: 1 }),
      await newDevice({ ordinary: 1 }),
      await newDevice({ ordinary: 2 }),
      await newDevice({ ordinary: 1 }),
    ];
    const conversation = await createCraftedConversation(admin.client, [bob]);
    const { convoId, groupId } = conversation;
    const own = await claimBy(admin.client, second);
    const ofOther = await claimBy(other.client, joiner);
    const before = await stateOf(conversation, admin.client);
    const welcome = craftWelcome([...own, ...ofOther].map((ref) => Buffer.from(ref, 'hex'))).toString('base64');
    const commit = craftCommit(groupId, 0).toString('base64');
    const didList = [joiner.client.did, second.client.did];
    const refusal = await admin.client.refusal('addMembers', { convoId, didList, commit, welcomeMessage: welcome });
    expect([refusal.status, refusal.error]).toEqual([409, 'KeyPackageNotFound']);
    expect(await stateOf(conversation, admin.client)).toEqual(before);
    expect(await joiner.client.refusal('getWelcome', { convoId })).toMatchObject({ error: 'ConvoNotFound' });
    const clean = craftWelcome(own.map((ref) => Buffer.from(ref, 'hex'))).toString('base64');
    const input = { convoId, didList: [second.client.did], commit, welcomeMessage: clean };
    expect(await admin.client.call('addMembers', input), 'the own package was used up').toMatchObject({ newEpoch: 1 });
    expect((await second.client.call('getWelcome', { convoId })).welcome).toBe(clean);
    expect(await admin.client.call('addMembers', input), 'a retry').toMatchObject({ newEpoch: 1 });
  });

  async function stateOf({ convoId, groupId }: CraftedConversation, member: XrpcClient): Promise<unknown> {
    const { sql } = bed.database;
    const counts = await Promise.all([
      sql`SELECT epoch, last_seq, last_event FROM conversation_counters WHERE group_id = ${groupId}`,
      sql`SELECT count(*)::int AS welcomes FROM welcomes WHERE group_id = ${groupId}`,
      sql`SELECT count(*)::int AS messages FROM messages WHERE group_id = ${groupId}`,
      sql`SELECT count(*)::int AS events FROM events WHERE group_id = ${groupId}`,
    ]);
    const [conversation] = (await member.call('getConvos', {})).conversations.filter(
      (view) => view.groupId === convoId,
    );
    return { rows: counts.map((rows) => [...rows]), conversation };
  }
});
