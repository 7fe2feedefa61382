import { afterAll, beforeAll, expect, test } from 'vitest';
import { newSecret, newUuid } from '#platform/ids.ts';
import { craftedSuite as cipherSuite } from '../support/mls/crafted-conversation.ts';
import { MlsMember } from '../support/mls/mls-member.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';

// Requests in the spelling of public clients: plain JSON with fields that other clients do not send, commits without a GroupInfo, which
// updateGroupInfo stores afterwards, and base64url for the packages of a new device. Only the status of a failure is read.

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed()));
afterAll(() => bed?.stop());

type Fields = Readonly<Record<string, unknown>>;
type Search = Readonly<Record<string, string | number | readonly string[]>>;
interface ClaimedPackage {
  readonly did: string;
  readonly keyPackage: string;
  readonly keyPackageHash: string;
}

const base64 = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('base64');
const fromBase64 = (text: string): Uint8Array => Buffer.from(text, 'base64');
const text = expect.any(String) as string;

/** One device of a person. */
interface Device {
  readonly client: XrpcClient;
  readonly mls: MlsMember;
  readonly deviceId: string;
}

async function post(client: XrpcClient, method: string, body: Fields): Promise<Fields> {
  const response = await client.raw(method, { body: JSON.stringify(body) });
  expect(response.status, `${method} ${response.text}`).toBe(200);
  return JSON.parse(response.text) as Fields;
}

async function get(client: XrpcClient, method: string, params: Search): Promise<Fields> {
  const pairs = Object.entries(params).flatMap(([key, value]) =>
    [value].flat().map((item): [string, string] => [key, String(item)]),
  );
  const response = await client.raw(method, { search: `?${new URLSearchParams(pairs).toString()}` });
  expect(response.status, `${method} ${response.text}`).toBe(200);
  return JSON.parse(response.text) as Fields;
}

const newPackage = async (mls: MlsMember): Promise<{ bytes: Uint8Array; cipherSuite: string; expires: string }> => ({
  bytes: (await mls.createKeyPackage()).bytes,
  cipherSuite,
  expires: new Date(Date.now() + 30 * 86_400_000).toISOString(),
});

async function register(client = bed.client()): Promise<Device> {
  const mls = await MlsMember.create({ did: client.did, cipherSuite });
  const { bytes, ...rest } = await newPackage(mls);
  const registered = await post(client, 'registerDevice', {
    deviceName: 'phone',
    deviceUUID: newUuid(),
    keyPackages: [{ keyPackage: Buffer.from(bytes).toString('base64url'), ...rest }],
    signaturePublicKey: { $bytes: base64(mls.device.signaturePublicKey) },
  });
  const deviceId = String(registered['deviceId']);
  expect(registered).toMatchObject({ mlsDid: `${client.did}#${deviceId}`, autoJoinedConvos: expect.any(Array) });
  return { client, mls, deviceId };
}

async function claim(client: XrpcClient, ...dids: readonly string[]): Promise<readonly ClaimedPackage[]> {
  const { keyPackages } = await get(client, 'getKeyPackages', { dids, cipherSuite });
  return keyPackages as readonly ClaimedPackage[];
}

const hashesOf = (packages: readonly ClaimedPackage[]): Fields[] =>
  packages.map(({ did, keyPackageHash }) => ({ did, hash: keyPackageHash }));

async function storeGroupInfo({ client, mls }: Device, convoId: string): Promise<void> {
  const groupInfo = base64(await mls.exportGroupInfo());
  const stored = await post(client, 'updateGroupInfo', { convoId, groupInfo, epoch: mls.epoch });
  expect(stored).toEqual({ updated: true });
}

async function create(by: Device, others: readonly Device[]): Promise<string> {
  const { client, mls } = by;
  const dids = others.map((other) => other.client.did);
  const groupId = newSecret(16);
  const convoId = groupId.toString('hex');
  await mls.createGroup(groupId);
  const packages = await claim(client, ...dids);
  const { welcome } = await mls.addMembers(packages.map(({ keyPackage }) => fromBase64(keyPackage)));
  const view = await post(client, 'createConvo', {
    groupId: convoId,
    idempotencyKey: newUuid(),
    cipherSuite,
    initialMembers: dids,
    welcomeMessage: base64(welcome),
    keyPackageHashes: hashesOf(packages),
    metadata: { name: 'Birds' },
  });
  mls.acceptCommit();
  expect(view).toMatchObject({ groupId: convoId, creator: client.did, epoch: mls.epoch, metadata: { name: 'Birds' } });
  await storeGroupInfo(by, convoId);
  return convoId;
}

async function add(by: Device, convoId: string, packages: readonly ClaimedPackage[]): Promise<void> {
  const { commit, welcome } = await by.mls.addMembers(packages.map(({ keyPackage }) => fromBase64(keyPackage)));
  const added = await post(by.client, 'addMembers', {
    convoId,
    idempotencyKey: newUuid(),
    didList: [...new Set(packages.map(({ did }) => did))],
    commit: base64(commit),
    welcomeMessage: base64(welcome),
    keyPackageHashes: hashesOf(packages),
  });
  by.mls.acceptCommit();
  expect(added).toMatchObject({ success: true, newEpoch: by.mls.epoch });
  await storeGroupInfo(by, convoId);
}

async function join({ client, mls }: Device, convoId: string): Promise<void> {
  const { welcome } = await get(client, 'getWelcome', { convoId });
  await mls.joinByWelcome(fromBase64(String(welcome)));
  expect(await post(client, 'confirmWelcome', { convoId, success: true })).toEqual({ confirmed: true });
}

async function send({ client, mls }: Device, convoId: string, message: string): Promise<Fields> {
  const [msgId, ciphertext] = [newUuid(), await mls.encrypt(message)];
  const sent = await post(client, 'sendMessage', {
    convoId,
    msgId,
    idempotencyKey: newUuid(),
    ciphertext: { $bytes: base64(ciphertext) },
    epoch: mls.epoch,
    paddedSize: ciphertext.length,
  });
  expect(sent).toMatchObject({ messageId: msgId, receivedAt: text, epoch: mls.epoch });
  return sent;
}

/** Processes all messages after `sinceSeq`. @returns the texts. */
async function read({ client, mls }: Device, convoId: string, sinceSeq: number): Promise<string[]> {
  const page = await get(client, 'getMessages', { convoId, limit: 100, sinceSeq });
  const texts = [];
  for (const { ciphertext, messageType } of page['messages'] as {
    ciphertext: { $bytes: string };
    messageType: string;
  }[]) {
    const received = await mls.receive(fromBase64(ciphertext.$bytes));
    expect(received.kind).toBe(messageType === 'app' ? 'application' : 'commit');
    if (received.kind === 'application') texts.push(received.text);
  }
  return texts;
}

test('registers, opts in, and keeps packages published', async () => {
  const { client, mls, deviceId } = await register();
  expect(await post(client, 'optIn', { deviceId })).toMatchObject({ optedIn: true, optedInAt: text });
  const token = { deviceId, pushToken: newSecret(32).toString('hex'), deviceName: 'phone', platform: 'ios' };
  expect(await post(client, 'registerDeviceToken', token)).toEqual({ success: true });
  const stats = await get(client, 'getKeyPackageStats', { cipherSuite });
  expect(stats).toMatchObject({ available: 1, threshold: expect.any(Number), needsReplenish: true });
  const { bytes, ...rest } = await newPackage(mls);
  const item = { keyPackage: base64(bytes), ...rest, idempotencyKey: newUuid() };
  const published = await post(client, 'publishKeyPackages', { keyPackages: [item] });
  expect(published).toMatchObject({ succeeded: 1, failed: 0 });
  const synced = await post(client, 'syncKeyPackages', { localHashes: [], deviceId });
  expect(synced).toMatchObject({ serverHashes: expect.any(Array), orphanedCount: 2, deletedCount: 2 });
  const { statuses } = await get(client, 'getOptInStatus', { dids: [client.did] });
  expect(statuses).toMatchObject([{ did: client.did, optedIn: true }]);
});

test('creates, joins, sends, adds and removes', async () => {
  const [alice, bob, carol] = [await register(), await register(), await register()];
  const convoId = await create(alice, [bob]);
  const { conversations } = await get(bob.client, 'getConvos', {});
  expect(conversations).toMatchObject([{ groupId: convoId, createdAt: text, members: expect.any(Array) }]);
  await join(bob, convoId);
  expect(await send(alice, convoId, 'Hello.')).toMatchObject({ seq: 1 });
  expect(await read(bob, convoId, 0)).toEqual(['Hello.']);
  await add(alice, convoId, await claim(alice.client, carol.client.did));
  await join(carol, convoId);
  const stale = await bob.mls.emptyCommit();
  const losing = { convoId, targetDid: carol.client.did, idempotencyKey: newUuid(), commit: base64(stale.commit) };
  const refused = await alice.client.raw('removeMember', { body: JSON.stringify(losing) });
  expect(refused.status).toBe(409);
  bob.mls.rejectCommit();
  expect(await read(bob, convoId, 1)).toEqual([]);
  const { commit } = await alice.mls.removeMember(carol.client.did);
  const removal = { ...losing, idempotencyKey: newUuid(), reason: 'gone', commit: base64(commit) };
  expect(await post(alice.client, 'removeMember', removal)).toMatchObject({ ok: true, epochHint: 3 });
  alice.mls.acceptCommit();
  await send(alice, convoId, 'Without Carol.');
  expect(await read(bob, convoId, 2)).toEqual(['Without Carol.']);
  const { status } = await carol.client.raw('getMessages', { search: `?convoId=${convoId}` });
  expect(status).toBe(403);
});

test('discards a Welcome that it cannot open, joins by external commit, and its new device is added by a member', async () => {
  const [alice, bob] = [await register(), await register()];
  const convoId = await create(alice, [bob]);
  const invalid = { convoId, reason: 'cannot be opened' };
  expect(await post(bob.client, 'invalidateWelcome', invalid)).toEqual({ invalidated: true });
  const stored = await get(bob.client, 'getGroupInfo', { convoId });
  expect(stored).toMatchObject({ epoch: 1, expiresAt: text });
  const joining = await bob.mls.externalJoin(fromBase64(String(stored['groupInfo'])));
  const joined = await post(bob.client, 'processExternalCommit', {
    convoId,
    externalCommit: base64(joining.commit),
    idempotencyKey: newUuid(),
    groupInfo: base64(joining.groupInfo),
  });
  bob.mls.acceptCommit();
  expect(joined).toMatchObject({ epoch: bob.mls.epoch, rejoinedAt: text });
  expect(await read(alice, convoId, 0)).toEqual([]);
  expect(await post(bob.client, 'groupInfoRefresh', { convoId })).toMatchObject({ requested: true, activeMembers: 1 });
  expect(await post(bob.client, 'readdition', { convoId })).toMatchObject({ requested: true, activeMembers: 1 });

  const tablet = await register(bob.client);
  const { pendingAdditions } = await get(alice.client, 'getPendingDeviceAdditions', { limit: 50 });
  expect(pendingAdditions).toMatchObject([
    { id: text, convoId, userDid: bob.client.did, deviceId: tablet.deviceId, status: text },
  ]);
  const [{ id: pendingAdditionId }] = pendingAdditions as [{ id: string }];
  const claimed = await post(alice.client, 'claimPendingDeviceAddition', { pendingAdditionId });
  expect(claimed).toMatchObject({ claimed: true });
  await add(alice, convoId, [claimed['keyPackage'] as ClaimedPackage]);
  const done = { pendingAdditionId, newEpoch: alice.mls.epoch };
  expect(await post(alice.client, 'completePendingDeviceAddition', done)).toEqual({ success: true });
  await join(tablet, convoId);
  await send(alice, convoId, 'To all of you.');
  expect(await read(tablet, convoId, 2)).toEqual(['To all of you.']);
  expect(tablet.mls.epochAuthenticator).toBe(alice.mls.epochAuthenticator);
});
