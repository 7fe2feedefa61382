import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { lexToJson } from '@atproto/lex-json';
import type { LexValue } from '@atproto/lex-schema';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newSecret, newUuid } from '#platform/ids.ts';
import { craftCommit, craftWelcome } from '../support/mls/crafted-mls.ts';
import { craftedSuite as cipherSuite, craftMessage } from '../support/mls/crafted-conversation.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import { startLoopbackPds } from '../support/network/loopback-pds.ts';
import type { LoopbackPds } from '../support/network/loopback-pds.ts';
import { MlsMember } from '../support/mls/mls-member.ts';
import { openServerSentEvents } from '../support/clients/server-sent-events.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';
import { projectRoot } from '../conventions/source-tree.ts';
import { createExampleRecorder } from './example-recorder.ts';
import type { ExampleRecorder } from './example-recorder.ts';

// Makes the calls that the pages of docs/api show as examples. After a change of this test or of a response, run
// npx vitest run --config test/vitest.config.ts test/contract/examples.test.ts -u, then npm run codegen.

let bed: TestBed;
let pds: LoopbackPds;
let record: ExampleRecorder;
let alice: XrpcClient;
let bob: XrpcClient;
let carol: XrpcClient;
/** A conversation of Alice and Bob. */
let convoId: string;
let groupId: Buffer;

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const expires = new Date(Date.now() + 20 * 86_400_000).toISOString();

/** The people of the examples, by the name that replaces their DID. */
const people = ['alice', 'bob', 'carol', 'dave', 'eve'] as const;
let clients: ReadonlyMap<string, XrpcClient>;

function person(name: (typeof people)[number]): XrpcClient {
  const client = clients.get(name);
  if (client === undefined) throw new RangeError(`there is no client named ${name}`);
  return client;
}

beforeAll(async () => {
  pds = await startLoopbackPds();
  bed = await startTestBed({ env: { BLOCK_CHECKS: 'true' } });
  clients = new Map(people.map((name) => [name, bed.client({ account: bed.account({ pdsUrl: pds.url }) })]));
  [alice, bob, carol] = [person('alice'), person('bob'), person('carol')];
  record = createExampleRecorder(
    new Map([
      ...people.map((name): [string, string] => [person(name).did, `did:plc:${name.padEnd(24, '2')}`]),
      [bed.server().url.replace('http', 'ws'), 'wss://mls.example.com'],
    ]),
  );
});
afterAll(async () => {
  await bed.stop();
  await pds.close();
});

interface Upload {
  readonly keyPackage: string;
  readonly cipherSuite: string;
  readonly expires: string;
}

async function keyPackage(device: MlsMember): Promise<Upload> {
  const { bytes } = await device.createKeyPackage();
  return { keyPackage: base64(bytes), cipherSuite, expires };
}

async function register(client: XrpcClient, deviceName: string): Promise<{ device: MlsMember; deviceId: string }> {
  const device = await MlsMember.create({ did: client.did, cipherSuite });
  const { deviceId } = await record.call('registerDevice', client, {
    deviceName,
    deviceUUID: newUuid(),
    keyPackages: [await keyPackage(device)],
    signaturePublicKey: device.device.signaturePublicKey,
  });
  return { device, deviceId };
}

let telephone: { device: MlsMember; deviceId: string };
let tablet: { device: MlsMember; deviceId: string };

test('devices, key packages and opting in', async () => {
  telephone = await register(alice, 'Telephone');
  await register(bob, "Bob's telephone");
  tablet = await register(carol, 'Tablet');
  await record.call('optIn', alice, {});
  await bob.call('optIn', {});
  await record.call('getOptInStatus', alice, { dids: [bob.did, carol.did] });
  await record.call('publishKeyPackage', alice, await keyPackage(telephone.device));
  await record.call('publishKeyPackages', alice, { keyPackages: [await keyPackage(telephone.device)] });
  await record.call('getKeyPackageStats', alice, {});
  await record.call('listDevices', alice, {});
});

test('a conversation is created', async () => {
  const { keyPackages } = await record.call('getKeyPackages', alice, { dids: [bob.did], cipherSuite });
  const refs = keyPackages.map(({ keyPackageHash }) => Buffer.from(keyPackageHash ?? '', 'hex'));
  groupId = newSecret(16);
  convoId = groupId.toString('hex');
  await record.call('createConvo', alice, {
    groupId: convoId,
    cipherSuite,
    initialMembers: [bob.did],
    welcomeMessage: base64(craftWelcome(refs)),
    keyPackageHashes: refs.map((ref) => ({ did: bob.did, hash: ref.toString('hex') })),
    metadata: { name: 'Walking' },
    idempotencyKey: newUuid(),
  });
  const { welcome } = await record.call('getWelcome', bob, { convoId });
  await record.call('validateWelcome', bob, { welcomeMessage: Buffer.from(welcome, 'base64') });
  await record.call('confirmWelcome', bob, { convoId, success: true });
  await record.call('getEpoch', bob, { convoId });
});

test('messages and events', async () => {
  const { ticket } = await record.call('getSubscriptionTicket', bob, { convoId });
  const stream = await openEventStream(bob, { convoId, ticket });
  const sse = await openServerSentEvents(bob, { convoId });
  await record.call('sendMessage', alice, craftMessage({ convoId, groupId }, { epoch: 1 }));
  const event = await stream.next('messageEvent');
  await stream.close();
  const sent = await sse.next('messageEvent');
  sse.close();
  record.keep('streamConvoEvents', { request: { convoId }, answer: lexToJson(sent as LexValue) });
  record.keep('subscribeConvoEvents', { request: { convoId, ticket }, answer: lexToJson(event as LexValue) });
  await record.call('getMessages', bob, { convoId, sinceSeq: 0 });
  await record.call('updateCursor', bob, { convoId, cursor: event.cursor });
  await record.call('getConvos', bob, { limit: 50 });
});

test('a second device is added, and devices are managed', async () => {
  const laptop = await register(alice, 'Laptop');
  const { pendingAdditions } = await record.call('getPendingDeviceAdditions', bob, { convoIds: [convoId] });
  const pendingAdditionId = pendingAdditions[0]?.id ?? '';
  await record.call('claimPendingDeviceAddition', bob, { pendingAdditionId });
  await record.call('completePendingDeviceAddition', bob, { pendingAdditionId, newEpoch: 2 });
  const { deviceId } = laptop;
  await record.call('registerDeviceToken', alice, { deviceId, pushToken: 'token-of-the-platform', platform: 'ios' });
  await record.call('unregisterDeviceToken', alice, { deviceId });
  await record.call('validateDeviceState', alice, { deviceId });
  await record.call('getKeyPackageStatus', bob, { limit: 20 });
  await record.call('getKeyPackageHistory', bob, { limit: 20 });
  await record.call('syncKeyPackages', alice, { deviceId: telephone.deviceId, localHashes: [] });
});

test('members are added, get roles, and leave', async () => {
  const commit = (epoch: number): string => base64(craftCommit(groupId, epoch));
  await record.call('addMembers', alice, { convoId, didList: [carol.did], commit: commit(1) });
  await record.call('getCommits', bob, { convoId, fromEpoch: 2 });
  await record.call('promoteAdmin', alice, { convoId, targetDid: bob.did });
  await record.call('demoteAdmin', alice, { convoId, targetDid: bob.did });
  await record.call('promoteModerator', alice, { convoId, targetDid: bob.did });
  await record.call('demoteModerator', alice, { convoId, targetDid: bob.did });
  await record.call('warnMember', alice, { convoId, memberDid: carol.did, reason: 'Please keep to the topic.' });
  const report = { convoId, reportedDid: carol.did, category: 'spam', encryptedContent: newSecret(64) };
  await bob.call('reportMember', report);
  const { reportId } = await record.call('reportMember', bob, report);
  await record.call('getReports', alice, { convoId, status: 'pending', limit: 1 });
  await record.call('resolveReport', alice, { reportId, action: 'removed_member' });
  await record.call('removeMember', alice, {
    convoId,
    targetDid: carol.did,
    idempotencyKey: newUuid(),
    commit: commit(2),
  });
  await record.call('getAdminStats', alice, { convoId });
  await record.call('commit', bob, { convoId, commit: craftCommit(groupId, 3), idempotencyKey: newUuid() });
});

test('blocks', async () => {
  const blockUri = pds.block(alice.did, bob.did);
  await record.call('handleBlockChange', alice, {
    blockerDid: alice.did,
    blockedDid: bob.did,
    action: 'created',
    blockUri,
  });
  await record.call('checkBlocks', alice, { dids: [alice.did, bob.did] });
  await record.call('getBlockStatus', alice, { convoId });
});

test('an invite, and joining by external commit', async () => {
  const ofOne = newSecret(16);
  const group = telephone.device.inAnotherGroup();
  await group.createGroup(ofOne);
  const club = ofOne.toString('hex');
  await alice.call('createConvo', { groupId: club, cipherSuite, metadata: { name: 'Club' } });
  const groupInfo = base64(await group.exportGroupInfo());
  await record.call('updateGroupInfo', alice, { convoId: club, groupInfo, epoch: 0 });
  await record.call('updatePolicy', alice, { convoId: club, allowInvites: true, maxMembers: 100 });
  await record.call('getPolicy', alice, { convoId: club });
  const pskHash = newSecret(32).toString('hex');
  const { inviteId } = await record.call('createInvite', alice, { convoId: club, pskHash, maxUses: 1 });
  await record.call('listInvites', alice, { convoId: club });
  const shown = await record.call('getGroupInfo', carol, { convoId: club, pskHash });
  const joining = await tablet.device.inAnotherGroup().externalJoin(Buffer.from(shown.groupInfo, 'base64'));
  await record.call('processExternalCommit', carol, {
    convoId: club,
    externalCommit: base64(joining.commit),
    groupInfo: base64(joining.groupInfo),
    pskHash,
    idempotencyKey: newUuid(),
  });
  await record.call('revokeInvite', alice, { inviteId });
  await record.call('groupInfoRefresh', carol, { convoId: club });
  await record.call('readdition', carol, { convoId: club });
  const { keyPackage: again } = await keyPackage(tablet.device);
  await record.call('rejoin', carol, { convoId: club, keyPackage: again });
  await record.call('getExpectedConversations', carol, {});
});

test('a Welcome that cannot be used', async () => {
  const { keyPackages } = await alice.call('getKeyPackages', { dids: [carol.did], cipherSuite });
  const refs = keyPackages.map(({ keyPackageHash }) => Buffer.from(keyPackageHash ?? '', 'hex'));
  const lost = newSecret(16).toString('hex');
  await alice.call('createConvo', {
    groupId: lost,
    cipherSuite,
    initialMembers: [carol.did],
    welcomeMessage: base64(craftWelcome(refs)),
  });
  await record.call('invalidateWelcome', carol, { convoId: lost, reason: 'keys lost' });
});

test('a person without a common conversation sends a chat request', async () => {
  const [requester, unwantedRequester] = [person('dave'), person('eve')];
  await record.call('updateChatRequestSettings', alice, { autoExpireDays: 14 });
  await record.call('getChatRequestSettings', alice, {});
  const heldMessages = [{ ciphertext: newSecret(512), paddedSize: 512 }];
  const { requestId } = await record.call('sendChatRequest', requester, {
    recipientDid: alice.did,
    previewText: 'We met at the station.',
    heldMessages,
  });
  await record.call('getRequestCount', alice, {});
  await record.call('listChatRequests', alice, { status: 'pending' });
  await record.call('acceptChatRequest', alice, { requestId });
  const unwanted = await unwantedRequester.call('sendChatRequest', { recipientDid: alice.did });
  await record.call('declineChatRequest', alice, { requestId: unwanted.requestId, reportReason: 'spam' });
  await record.call('blockChatSender', alice, { senderDid: unwantedRequester.did });
});

test('a person opts out', async () => {
  await record.call('leaveConvo', bob, { convoId });
  await record.call('deleteDevice', alice, { deviceId: telephone.deviceId });
  const { text } = await alice.raw('optOut', { verb: 'POST' });
  record.keep('optOut', { request: undefined, answer: JSON.parse(text) });
});

test('the examples file has the calls of this test', async () => {
  const text = `${JSON.stringify(record.examples(), undefined, 2)}\n`;
  await expect(text).toMatchFileSnapshot('examples.json');
});

test('every method has an example', () => {
  const notMethods = new Set(['endpoints', 'errors', 'views']);
  const sources = readdirSync(join(projectRoot, 'src/xrpc/mls')).filter((file) => file.endsWith('.ts'));
  const methods = sources.map((file) => file.replace('.ts', ''));
  const shown = record.examples();
  expect(methods.filter((method) => !notMethods.has(method) && !(method in shown))).toEqual([]);
});
