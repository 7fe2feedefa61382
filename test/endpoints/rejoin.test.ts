import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newSecret, newUuid } from '#platform/ids.ts';
import { required } from '#platform/errors.ts';
import { craftedSuite, createCraftedConversation } from '../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../support/mls/crafted-conversation.ts';
import { craftCommit, craftExternalCommit, craftWelcome } from '../support/mls/crafted-mls.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import { MlsDevice } from '../support/mls/mls-device.ts';
import { registerTestDevice } from '../support/clients/register-device.ts';
import type { RegisteredDevice } from '../support/clients/register-device.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { ResponseOf, XrpcClient } from '../support/clients/xrpc-client.ts';

const publishesPerMinute = 6;
let bed: TestBed;
let alice: XrpcClient;
let nonMember: XrpcClient;

beforeAll(async () => {
  bed = await startTestBed({
    env: { RATE_LIMIT_PUBLISH_KEY_PACKAGE: String(publishesPerMinute), MAX_KEY_PACKAGES_PER_DEVICE: '2' },
  });
  [alice, nonMember] = [bed.client(), bed.client()];
});
afterAll(() => bed.stop());

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** A key package of the client's device, by default a new one. */
async function keyPackageOf(client: XrpcClient, device?: MlsDevice): Promise<string> {
  const maker = device ?? (await MlsDevice.create(client.did, craftedSuite));
  return base64((await maker.createKeyPackage()).bytes);
}

async function removeFrom(convoId: string, { did }: XrpcClient): Promise<void> {
  await alice.call('removeMember', { convoId, targetDid: did, idempotencyKey: newUuid() });
}

type Expected = ResponseOf<'getExpectedConversations'>['conversations'][number];

async function expectedOf(client: XrpcClient, convoId: string, deviceId?: string): Promise<Expected | undefined> {
  const { conversations } = await client.call('getExpectedConversations', { deviceId });
  return conversations.find((conversation) => conversation.convoId === convoId);
}

/** Alice fetches a package of `owner` and adds its device with a Welcome. */
async function welcome(
  to: CraftedConversation,
  owner: XrpcClient,
  epoch: number,
): Promise<{ bytes: Buffer; ref: string }> {
  const { keyPackages } = await alice.call('getKeyPackages', { dids: [owner.did], cipherSuite: craftedSuite });
  const ref = required(keyPackages[0]?.keyPackageHash, 'a key package');
  const bytes = craftWelcome([Buffer.from(ref, 'hex')]);
  await alice.call('addMembers', {
    convoId: to.convoId,
    didList: [owner.did],
    commit: base64(craftCommit(to.groupId, epoch)),
    welcomeMessage: base64(bytes),
  });
  return { bytes, ref };
}

describe('rejoin', () => {
  test('marks the caller until they rejoined, publishes the package, and sends one event to the members', async () => {
    const bob = bed.client();
    const { convoId, groupId } = await createCraftedConversation(alice, [bob]);
    const stream = await openEventStream(alice, { convoId });
    const keyPackage = await keyPackageOf(bob);
    const response = await bob.call('rejoin', { convoId, keyPackage, reason: 'lost my phone' });
    const warning = expect.stringContaining('No device of yours is registered');
    expect(response).toEqual({ requestId: expect.stringMatching(/^[0-9a-f]{32}$/), pending: true, warning });
    expect(await stream.next('readditionRequestedEvent')).toMatchObject({ convoId, userDid: bob.did });
    expect(await bob.call('rejoin', { convoId, keyPackage })).toEqual(response);
    expect(await expectedOf(bob, convoId)).toMatchObject({ needsRejoin: true });
    expect(await expectedOf(alice, convoId)).toMatchObject({ needsRejoin: false });
    const { keyPackages } = await alice.call('getKeyPackages', { dids: [bob.did], cipherSuite: craftedSuite });
    expect(keyPackages.map((found) => found.keyPackage)).toEqual([keyPackage]);

    const externalCommit = base64(craftExternalCommit({ groupId, epoch: 0, did: bob.did, removes: 1 }));
    await bob.call('processExternalCommit', { convoId, externalCommit });
    expect(await expectedOf(bob, convoId)).toMatchObject({ needsRejoin: false });
    await stream.next('messageEvent');
    const events = stream.events.filter(({ $type }) => $type.endsWith('readditionRequestedEvent'));
    expect(events, 'requested again within ten minutes').toHaveLength(1);
    await stream.close();
  });

  test('is for members and people who left, with a package of their own', async () => {
    const [bob, carol] = [bed.client(), bed.client()];
    const { convoId } = await createCraftedConversation(alice, [bob, carol]);
    await removeFrom(convoId, carol);
    const refusalOf = async (client: XrpcClient, keyPackage: string): Promise<string> =>
      (await client.refusal('rejoin', { convoId, keyPackage })).error;
    expect(await refusalOf(carol, await keyPackageOf(carol))).toBe('NotMember');
    expect(await refusalOf(nonMember, await keyPackageOf(nonMember))).toBe('ConvoNotFound');
    for (const keyPackage of [base64(newSecret(200)), '!', await keyPackageOf(alice)]) {
      expect(await refusalOf(bob, keyPackage)).toBe('InvalidKeyPackage');
    }
    expect(await expectedOf(bob, convoId)).toMatchObject({ needsRejoin: false });
    await bob.call('leaveConvo', { convoId });
    expect(await bob.call('rejoin', { convoId, keyPackage: await keyPackageOf(bob) })).toMatchObject({ pending: true });
    expect(await expectedOf(bob, convoId), 'not a member yet').toBeUndefined();
    await alice.call('addMembers', { convoId, didList: [bob.did] });
    expect(await expectedOf(bob, convoId)).toMatchObject({ needsRejoin: false, memberCount: 2 });
  });

  test('accepts only a device of the caller, and applies its package limit and the quota of publishing', async () => {
    const bob = bed.client();
    const { convoId } = await createCraftedConversation(alice, [bob]);
    const { deviceId, device } = await registerTestDevice(bob, { packages: 2 });
    const rejoin = async (id = deviceId): Promise<string> => {
      const input = { convoId, keyPackage: await keyPackageOf(bob, device), deviceId: id };
      return bob.call('rejoin', input).then(
        () => 'ok',
        ({ error }: { error: string }) => error,
      );
    };
    expect(await rejoin(newUuid())).toBe('DeviceNotFound');
    expect([await rejoin(), await rejoin(), await rejoin()]).toEqual(['ok', 'ok', 'TooManyKeyPackages']);
    const outcomes = [await rejoin(newUuid()), await rejoin(newUuid()), await rejoin()];
    expect(outcomes).toEqual(['DeviceNotFound', 'DeviceNotFound', 'RateLimitExceeded']);
  });
});

describe.each([
  ['readdition', 'readditionRequestedEvent', 'userDid'],
  ['groupInfoRefresh', 'groupInfoRefreshRequestedEvent', 'requestedBy'],
] as const)('%s', (method, kind, field) => {
  test('sends an event to the other members, once in ten minutes, and returns their number', async () => {
    const [bob, carol] = [bed.client(), bed.client()];
    const { convoId } = await createCraftedConversation(alice, [bob, carol]);
    const stream = await openEventStream(alice, { convoId });
    expect(await bob.call(method, { convoId })).toEqual({ requested: true, activeMembers: 2 });
    const event = await stream.next(kind);
    expect(event).toMatchObject({ convoId, [field]: bob.did, requestedAt: expect.any(String) });
    expect(Date.parse(event.requestedAt) % 60_000).toBe(0);
    const repeated = await Promise.all(Array.from({ length: 3 }, () => bob.call(method, { convoId })));
    expect(repeated).toEqual(Array.from({ length: 3 }, () => ({ requested: true, activeMembers: 2 })));
    expect(await carol.call(method, { convoId }), 'another person').toMatchObject({ requested: true });
    expect(await stream.next(kind)).toMatchObject({ [field]: carol.did });
    const named = stream.events.filter(({ $type }) => $type.endsWith(kind));
    expect(named).toHaveLength(2);
    await bed.database.sql`UPDATE members SET readdition_asked_at = readdition_asked_at - interval '12 minutes',
      group_info_asked_at = group_info_asked_at - interval '12 minutes'`;
    await bob.call(method, { convoId });
    expect(await stream.next(kind), 'ten minutes later').toMatchObject({ [field]: bob.did });
    await stream.close();
  });

  test('is for members and people who left; removed members and non-members cannot send the event', async () => {
    const [bob, carol] = [bed.client(), bed.client()];
    const { convoId } = await createCraftedConversation(alice, [bob, carol]);
    await removeFrom(convoId, carol);
    await bob.call('leaveConvo', { convoId });
    expect((await carol.refusal(method, { convoId })).error).toBe('NotMember');
    expect((await nonMember.refusal(method, { convoId })).error).toBe('ConvoNotFound');
    expect(await bob.call(method, { convoId })).toEqual({ requested: true, activeMembers: 1 });
    const { count } = required(
      (
        await bed.database.sql<{ count: number }[]>`
          SELECT count(*)::integer AS count FROM events WHERE group_id = ${Buffer.from(convoId, 'hex')} AND kind IN (6, 7)`
      )[0],
      'a count',
    );
    expect(count).toBe(1);
  });

  test('reports to the only member that no event was sent', async () => {
    const { convoId } = await createCraftedConversation(alice, []);
    if (method === 'groupInfoRefresh') {
      expect(await alice.call(method, { convoId })).toEqual({ requested: false, activeMembers: 0 });
    } else {
      expect(await alice.refusal(method, { convoId })).toMatchObject({ status: 409, error: 'NoActiveMembers' });
    }
  });
});

describe('a Welcome', () => {
  let bob: XrpcClient;
  let phone: RegisteredDevice;
  let conversation: CraftedConversation;
  beforeAll(async () => {
    bob = bed.client();
    phone = await registerTestDevice(bob, { packages: 2 });
    conversation = await createCraftedConversation(alice, []);
  });

  test('is valid for its recipient while it waits, and another one with the same package is not', async () => {
    const [own] = phone.refs.map((ref) => Buffer.from(ref, 'hex'));
    const unclaimed = craftWelcome([newSecret(32), required(own, 'a package')]);
    expect(await bob.call('validateWelcome', { welcomeMessage: unclaimed })).toEqual({
      valid: true,
      keyPackageHash: phone.refs[0],
      recipientDid: bob.did,
      reserved: false,
    });
    const { bytes, ref } = await welcome(conversation, bob, 0);
    const waiting = await bob.call('validateWelcome', { welcomeMessage: bytes });
    expect(waiting).toEqual({ valid: true, keyPackageHash: ref, recipientDid: bob.did, reserved: true });
    const another = craftWelcome([Buffer.from(ref, 'hex')]);
    const reserved = await bob.refusal('validateWelcome', { welcomeMessage: another });
    expect([reserved.status, reserved.error]).toEqual([409, 'KeyPackageReserved']);
    // The refusal does not show whether other people's packages exist.
    const refusals = await Promise.all([
      nonMember.refusal('validateWelcome', { welcomeMessage: bytes }),
      nonMember.refusal('validateWelcome', { welcomeMessage: craftWelcome([newSecret(32)]) }),
      alice.refusal('validateWelcome', { welcomeMessage: unclaimed }),
    ]);
    expect(refusals.map(({ body }) => body)).toEqual([refusals[0].body, refusals[0].body, refusals[0].body]);
    expect(refusals[0]).toMatchObject({ status: 409, error: 'KeyPackageNotFound' });
    const broken = await bob.refusal('validateWelcome', { welcomeMessage: bytes.subarray(0, -1) });
    expect([broken.status, broken.error]).toEqual([400, 'InvalidWelcome']);
  });

  test('is discarded by its recipient, who can then join by external commit', async () => {
    const { convoId, groupId } = conversation;
    const { deviceId } = phone;
    expect(await expectedOf(bob, convoId, deviceId)).toMatchObject({ deviceInGroup: false, shouldBeInGroup: true });
    expect(await expectedOf(bob, convoId)).not.toHaveProperty('deviceInGroup');
    const invalid = { convoId, reason: 'NoMatchingKeyPackage' };
    expect(await bob.refusal('invalidateWelcome', { ...invalid, deviceId: newUuid() })).toMatchObject({
      error: 'DeviceNotFound',
    });
    const laptop = await registerTestDevice(bob, { packages: 1 });
    const notIts = await bob.refusal('invalidateWelcome', { ...invalid, deviceId: laptop.deviceId });
    expect([notIts.status, notIts.error]).toEqual([404, 'NotFound']);
    expect((await alice.refusal('invalidateWelcome', invalid)).error).toBe('NotFound');
    expect((await nonMember.refusal('invalidateWelcome', invalid)).error).toBe('ConvoNotFound');
    const { welcome: stored } = await bob.call('getWelcome', { convoId });
    expect(await bob.call('invalidateWelcome', { ...invalid, deviceId })).toEqual({ invalidated: true });
    expect((await bob.refusal('getWelcome', { convoId })).error).toBe('WelcomeNotFound');
    expect((await bob.refusal('invalidateWelcome', invalid)).error).toBe('NotFound');
    const used = await bob.refusal('validateWelcome', { welcomeMessage: Buffer.from(stored, 'base64') });
    expect([used.status, used.error]).toEqual([409, 'KeyPackageAlreadyConsumed']);
    const externalCommit = base64(craftExternalCommit({ groupId, epoch: 1, did: bob.did }));
    expect(await bob.call('processExternalCommit', { convoId, externalCommit })).toMatchObject({ epoch: 2 });
  });

  test('that was confirmed marks its device as in the group, and ends a rejoin request', async () => {
    const carol = bed.client();
    const { deviceId, device } = await registerTestDevice(carol, { packages: 1 });
    const to = await createCraftedConversation(alice, [carol]);
    const { convoId } = to;
    await carol.call('rejoin', { convoId, keyPackage: await keyPackageOf(carol, device) });
    await welcome(to, carol, 0);
    expect(await expectedOf(carol, convoId, deviceId)).toMatchObject({ deviceInGroup: false, needsRejoin: true });
    await carol.call('getWelcome', { convoId });
    await carol.call('confirmWelcome', { convoId, success: true });
    expect(await expectedOf(carol, convoId, deviceId)).toMatchObject({ deviceInGroup: true, needsRejoin: false });
  });
});

test('getExpectedConversations lists all conversations of the caller and no others, with their stored state', async () => {
  const [bob, carol] = [bed.client(), bed.client()];
  const groupId = newSecret(16).toString('hex');
  const metadata = { name: 'Choir' };
  await alice.call('createConvo', {
    groupId,
    cipherSuite: craftedSuite,
    initialMembers: [bob.did, carol.did],
    metadata,
  });
  const { convoId: left } = await createCraftedConversation(alice, [bob]);
  await bob.call('leaveConvo', { convoId: left });
  const { convoId: plain } = await createCraftedConversation(alice, [bob]);
  const facts = { shouldBeInGroup: true, needsRejoin: false };
  expect((await bob.call('getExpectedConversations', {})).conversations).toEqual(
    [
      { convoId: groupId, name: 'Choir', memberCount: 3, ...facts },
      { convoId: plain, name: '', memberCount: 2, ...facts },
    ].toSorted((a, b) => (a.convoId < b.convoId ? -1 : 1)),
  );
  expect((await nonMember.call('getExpectedConversations', {})).conversations).toEqual([]);
  const refusal = await bob.refusal('getExpectedConversations', { deviceId: newUuid() });
  expect([refusal.status, refusal.error]).toEqual([404, 'DeviceNotFound']);
});
