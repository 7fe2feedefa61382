import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MethodName } from '#client/api/methods.ts';
import { accountPseudonym } from '#domain/accounts/account.ts';
import { ensureAccount } from '#domain/accounts/ensure-account.ts';
import { encodeConversationList } from '#domain/accounts/conversation-list.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import { limits } from '#platform/limits.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { randomPlcDid } from '../support/clients/account.ts';
import { craftCommit, craftWelcome } from '../support/mls/crafted-mls.ts';
import { craftedSuite, craftMessage, createCraftedConversation } from '../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../support/mls/crafted-conversation.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import { openRawSocket, StreamRefused } from '../support/clients/raw-streams.ts';
import { MlsMember } from '../support/mls/mls-member.ts';
import { publishPackages } from '../support/mls/published-packages.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { RequestOf, XrpcClient } from '../support/clients/xrpc-client.ts';

let bed: TestBed;
let alice: XrpcClient;
let bob: XrpcClient;
/** A conversation of Alice, its creator, and Bob at epoch 1. */
let conversation: CraftedConversation;
let convoId: string;

beforeAll(async () => {
  bed = await startTestBed({ env: { MAX_KEY_PACKAGES_PER_DEVICE: '1' } });
  [alice, bob] = [bed.client(), bed.client()];
  conversation = await createCraftedConversation(alice, [bob]);
  ({ convoId } = conversation);
  await alice.call('addMembers', { convoId, didList: [bed.client().did], commit: base64(commitOf(0)) });
});
afterAll(() => bed.stop());

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const commitOf = (epoch: number): Buffer => craftCommit(conversation.groupId, epoch);
const expires = new Date(Date.now() + 86_400_000).toISOString();
const nonsense = base64(newSecret(200));

/** Makes the registration request of a new device of `client`. */
async function registration(client: XrpcClient): Promise<RequestOf<'registerDevice'>> {
  const device = await MlsMember.create({ did: client.did, cipherSuite: craftedSuite });
  const { bytes } = await device.createKeyPackage();
  return {
    deviceName: 'Telephone',
    signaturePublicKey: device.device.signaturePublicKey,
    keyPackages: [{ keyPackage: base64(bytes), cipherSuite: craftedSuite, expires }],
  };
}

async function keyPackagesOf(device: MlsMember, count: number): Promise<RequestOf<'publishKeyPackage'>[]> {
  const made = await Promise.all(Array.from({ length: count }, () => device.createKeyPackage()));
  return made.map(({ bytes }) => ({ keyPackage: base64(bytes), cipherSuite: craftedSuite }));
}

/** Makes a key package of a device of Alice that already has the maximum number. */
async function packageTooMany(): Promise<RequestOf<'publishKeyPackage'>> {
  const device = await MlsMember.create({ did: alice.did, cipherSuite: craftedSuite });
  const made = await keyPackagesOf(device, 3);
  const { succeeded } = await alice.call('publishKeyPackages', {
    keyPackages: made.slice(1).map((item) => ({ ...item, expires })),
  });
  expect(succeeded).toBe(2);
  return first(made);
}

/** Each call, its caller (default: Alice), and the refusal that it must end with. */
const cases: { [Name in MethodName]?: Readonly<Record<string, () => Case<Name> | Promise<Case<Name>>>> } = {
  addMembers: {
    InvalidCommit: () => ({ convoId, didList: [randomPlcDid()], commit: nonsense }),
    InvalidGroupInfo: () => ({
      convoId,
      didList: [randomPlcDid()],
      commit: base64(commitOf(1)),
      groupInfo: nonsense,
    }),
    InvalidWelcome: () => ({
      convoId,
      didList: [randomPlcDid()],
      commit: base64(commitOf(1)),
      welcomeMessage: nonsense,
    }),
    TooManyMembers: async () => {
      const others = Array.from({ length: limits.membersPerConversationMax - 1 }, () => randomPlcDid());
      const groupId = newSecret(16).toString('hex');
      await alice.call('createConvo', { groupId, cipherSuite: craftedSuite, initialMembers: others });
      return { convoId: groupId, didList: [randomPlcDid()] };
    },
    TooManyConversations: async () => ({ convoId, didList: [await busyPerson()], commit: base64(commitOf(1)) }),
  },
  commit: {
    EpochMismatch: () => ({ convoId, commit: commitOf(7) }),
    InvalidCommit: () => ({ convoId, commit: newSecret(200) }),
    InvalidGroupInfo: () => ({ convoId, commit: commitOf(1), groupInfo: newSecret(200) }),
    InvalidWelcome: () => ({ convoId, commit: commitOf(1), welcome: newSecret(200) }),
    KeyPackageNotFound: () => ({ convoId, commit: commitOf(1), welcome: craftWelcome([newSecret(32)]) }),
  },
  confirmWelcome: { DeviceNotFound: () => ({ convoId, success: true, deviceId: newUuid() }) },
  createConvo: {
    InvalidCipherSuite: () => ({ groupId: newGroupId(), cipherSuite: 'MLS_NONE' }),
    InvalidGroupId: () => ({ groupId: 'not hex', cipherSuite: craftedSuite }),
    InvalidGroupInfo: () => ({ groupId: newGroupId(), cipherSuite: craftedSuite, groupInfo: nonsense }),
    InvalidWelcome: () => ({
      groupId: newGroupId(),
      cipherSuite: craftedSuite,
      initialMembers: [bob.did],
      welcomeMessage: nonsense,
    }),
    KeyPackageNotFound: () => ({
      groupId: newGroupId(),
      cipherSuite: craftedSuite,
      initialMembers: [bob.did],
      welcomeMessage: base64(craftWelcome([newSecret(32)])),
    }),
    TooManyConversations: async () => ({
      groupId: newGroupId(),
      cipherSuite: craftedSuite,
      initialMembers: [await busyPerson()],
    }),
  },
  deleteDevice: { DeviceNotFound: () => ({ deviceId: newUuid() }) },
  getCommits: { InvalidEpochRange: () => ({ convoId, fromEpoch: 9, toEpoch: 1 }) },
  getConvos: { InvalidCursor: () => ({ cursor: 'bm9uZSBvZiBvdXJz' }) },
  getGroupInfo: { GroupInfoUnavailable: () => ({ convoId }) },
  getKeyPackageStats: {
    DeviceNotFound: () => ({ deviceId: newUuid() }),
    InvalidDid: () => ({ did: bob.did }),
  },
  getKeyPackages: { InvalidCipherSuite: () => ({ dids: [bob.did], cipherSuite: 'MLS_NONE' }) },
  getReports: { InvalidCursor: () => ({ convoId, cursor: 'bm9uZSBvZiBvdXJz' }) },
  getWelcome: {
    DeviceNotFound: () => ({ convoId, deviceId: newUuid() }),
    WelcomeNotFound: () => ({ convoId }),
  },
  invalidateWelcome: { DeviceNotFound: () => ({ convoId, deviceId: newUuid(), reason: 'keys lost' }) },
  leaveConvo: {
    EpochMismatch: () => ({ convoId, commit: base64(commitOf(7)) }),
    InvalidCommit: () => ({ convoId, commit: nonsense }),
    InvalidGroupInfo: () => by(bob, { convoId, commit: base64(commitOf(1)), groupInfo: nonsense }),
    NotAdmin: () => by(bob, { convoId, targetDid: alice.did }),
    TargetNotMember: () => ({ convoId, targetDid: randomPlcDid() }),
  },
  publishKeyPackage: {
    DeviceNotFound: async () => {
      const device = await MlsMember.create({ did: alice.did, cipherSuite: craftedSuite });
      return { ...first(await keyPackagesOf(device, 1)), deviceId: newUuid() };
    },
    InvalidCipherSuite: () => ({ keyPackage: nonsense, cipherSuite: 'MLS_NONE' }),
    TooManyKeyPackages: packageTooMany,
  },
  publishKeyPackages: {
    BatchTooLarge: () => ({
      keyPackages: Array.from({ length: limits.keyPackagesPerBatchMax + 1 }, () => ({
        keyPackage: nonsense,
        cipherSuite: craftedSuite,
        expires,
      })),
    }),
    DeviceNotFound: () => ({
      keyPackages: [{ keyPackage: nonsense, cipherSuite: craftedSuite, expires, deviceId: newUuid() }],
    }),
    InvalidBatch: () => ({ keyPackages: [] }),
  },
  readdition: {
    NoActiveMembers: async () => ({ convoId: (await createCraftedConversation(alice, [])).convoId }),
  },
  registerDevice: {
    InvalidDeviceName: async () => ({ ...(await registration(alice)), deviceName: ' ' }),
    InvalidKeyPackages: async () => ({
      ...(await registration(alice)),
      keyPackages: [{ keyPackage: nonsense, cipherSuite: craftedSuite, expires }],
    }),
    InvalidSignatureKey: async () => ({ ...(await registration(alice)), signaturePublicKey: newSecret(16) }),
    TooManyDevices: async () => {
      const owner = bed.client();
      for (let device = 0; device < limits.devicesPerAccountMax; device++) {
        await owner.call('registerDevice', await registration(owner));
      }
      return by(owner, await registration(owner));
    },
  },
  rejoin: {
    DeviceNotFound: () => ({ convoId, keyPackage: nonsense, deviceId: newUuid() }),
    InvalidKeyPackage: () => ({ convoId, keyPackage: nonsense }),
    TooManyKeyPackages: async () => ({ convoId, keyPackage: (await packageTooMany()).keyPackage }),
  },
  removeMember: {
    CannotRemoveSelf: () => ({ convoId, targetDid: alice.did, idempotencyKey: newUuid() }),
    InvalidCommit: () => ({ convoId, targetDid: bob.did, idempotencyKey: newUuid(), commit: nonsense }),
    InvalidGroupInfo: () => ({
      convoId,
      targetDid: bob.did,
      idempotencyKey: newUuid(),
      commit: base64(commitOf(1)),
      groupInfo: nonsense,
    }),
    TargetNotMember: () => ({ convoId, targetDid: randomPlcDid(), idempotencyKey: newUuid() }),
  },
  sendMessage: {
    InvalidAsset: () => ({ ...craftMessage(conversation, { epoch: 1 }), ciphertext: newSecret(512) }),
    MessageTooLarge: () => {
      const ciphertext = Buffer.alloc(limits.messageSizeBytesMax + 8_192);
      return { ...craftMessage(conversation, { epoch: 1 }), ciphertext, paddedSize: ciphertext.length };
    },
  },
  updateCursor: { InvalidCursor: () => ({ convoId, cursor: 'bm9uZSBvZiBvdXJz' }) },
  updateGroupInfo: { InvalidGroupInfo: () => ({ convoId, groupInfo: nonsense, epoch: 1 }) },
  validateWelcome: {
    InvalidWelcome: () => ({ welcomeMessage: newSecret(200) }),
    KeyPackageAlreadyConsumed: async () => {
      const { welcome, invited, id } = await welcomed();
      await invited.call('getWelcome', { convoId: id });
      await invited.call('confirmWelcome', { convoId: id, success: true });
      return by(invited, { welcomeMessage: welcome });
    },
    KeyPackageReserved: async () => {
      const { refs, invited } = await welcomed();
      return by(invited, { welcomeMessage: craftWelcome(refs) });
    },
  },
};

type Case<Name extends MethodName> = RequestOf<Name> | CaseOf<Name>;
class CaseOf<Name extends MethodName> {
  readonly client: XrpcClient;
  readonly request: RequestOf<Name>;

  constructor(client: XrpcClient, request: RequestOf<Name>) {
    this.client = client;
    this.request = request;
  }
}

function by<Name extends MethodName>(client: XrpcClient, request: RequestOf<Name>): CaseOf<Name> {
  return new CaseOf(client, request);
}

/** Invites a person, and returns the Welcome with the key packages that it references. */
async function welcomed(): Promise<{ welcome: Buffer; refs: Buffer[]; invited: XrpcClient; id: string }> {
  const invited = bed.client();
  const refs = await refsOf(invited);
  const [welcome, id] = [craftWelcome(refs), newGroupId()];
  await alice.call('createConvo', {
    groupId: id,
    cipherSuite: craftedSuite,
    initialMembers: [invited.did],
    welcomeMessage: base64(welcome),
  });
  return { welcome, refs, invited, id };
}

/** Publishes key packages of `owner` and fetches them as Alice. @returns their KeyPackageRefs. */
async function refsOf(owner: XrpcClient): Promise<Buffer[]> {
  await publishPackages(owner);
  const { keyPackages } = await alice.call('getKeyPackages', { dids: [owner.did], cipherSuite: craftedSuite });
  return keyPackages.map(({ keyPackageHash }) => Buffer.from(keyPackageHash ?? '', 'hex'));
}

const newGroupId = (): string => newSecret(16).toString('hex');

function first<Item>(items: readonly Item[]): Item {
  const [item] = items;
  if (item === undefined) throw new RangeError('an empty list');
  return item;
}

/** Puts a person into the maximum number of conversations. @returns their DID. */
async function busyPerson(client = bed.client()): Promise<string> {
  const privacy = createPrivacy(parseKeyRing(bed.identityKey));
  await ensureAccount({ db: bed.database.db, privacy }, client.did);
  const account = accountPseudonym(privacy, client.did);
  const list = encodeConversationList(Array.from({ length: limits.conversationsPerAccountMax }, () => newSecret(16)));
  await bed.database.db
    .updateTable('accounts')
    .set({ sealed_list: privacy.seal('account-list', [account], list) })
    .where('account', '=', account)
    .execute();
  return client.did;
}

const rows = Object.entries(cases).flatMap(([method, byName]) =>
  Object.entries(byName as Readonly<Record<string, () => unknown>>).map(([name, make]) => ({ method, name, make })),
);

test.each(rows)('$method: $name', async ({ method, name, make }) => {
  const made = await make();
  const [client, request] = made instanceof CaseOf ? [made.client, made.request] : [alice, made];
  const refusal = await client.refusal(method as MethodName, request as RequestOf<MethodName>);
  expect(refusal.error).toBe(name);
  expect((await alice.call('getEpoch', { convoId })).currentEpoch, 'a refusal changes nothing').toBe(1);
});

test('updateGroupInfo: EpochMismatch', async () => {
  const member = await MlsMember.create({ did: alice.did, cipherSuite: craftedSuite });
  const groupId = newSecret(16);
  await member.createGroup(groupId);
  const ofGroup = groupId.toString('hex');
  await alice.call('createConvo', { groupId: ofGroup, cipherSuite: craftedSuite, currentEpoch: 1 });
  const groupInfo = base64(await member.exportGroupInfo());
  const refusal = await alice.refusal('updateGroupInfo', { convoId: ofGroup, groupInfo, epoch: 0 });
  expect([refusal.error, refusal.body['currentEpoch']]).toEqual(['EpochMismatch', 1]);
});

test('subscribeConvoEvents: TooManyConnections', async () => {
  const client = bed.client();
  const streams = [];
  for (let nth = 0; nth < limits.subscriptionsPerAccountMax; nth++) streams.push(await openEventStream(client));
  const refusal: unknown = await openRawSocket(client).catch((error: unknown) => error);
  await Promise.all(streams.map((stream) => stream.close()));
  expect(refusal).toBeInstanceOf(StreamRefused);
  expect(refusal).toMatchObject({ status: 429, error: 'TooManyConnections' });
});

test('acceptChatRequest: TooManyConversations', async () => {
  const asking = bed.client();
  const refs = await refsOf(asking);
  const { requestId } = await asking.call('sendChatRequest', { recipientDid: alice.did });
  await busyPerson(asking);
  const refusal = await alice.refusal('acceptChatRequest', { requestId, welcomeData: craftWelcome(refs) });
  expect([refusal.status, refusal.error]).toEqual([409, 'TooManyConversations']);
});

test('processExternalCommit: TooManyConversations', async () => {
  const maker = await MlsMember.create({ did: alice.did, cipherSuite: craftedSuite });
  const [groupId, pskHash, joiner] = [newSecret(16), newSecret(32).toString('hex'), bed.client()];
  await maker.createGroup(groupId);
  const open = groupId.toString('hex');
  await alice.call('createConvo', { groupId: open, cipherSuite: craftedSuite });
  await alice.call('createInvite', { convoId: open, pskHash });
  await busyPerson(joiner);
  const device = await MlsMember.create({ did: joiner.did, cipherSuite: craftedSuite });
  const { commit } = await device.externalJoin(await maker.exportGroupInfo());
  const request = { convoId: open, externalCommit: base64(commit), pskHash };
  expect((await joiner.refusal('processExternalCommit', request)).error).toBe('TooManyConversations');
  expect(await alice.call('getEpoch', { convoId: open })).toMatchObject({ currentEpoch: 0 });
});

test('rejoin: RateLimitExceeded', async () => {
  const strict = await startTestBed({ env: { RATE_LIMIT_PUBLISH_KEY_PACKAGE: '1' } });
  try {
    const client = strict.client();
    const request = { convoId: newGroupId(), keyPackage: nonsense };
    expect((await client.refusal('rejoin', request)).error).toBe('ConvoNotFound');
    expect((await client.refusal('rejoin', request)).error).toBe('RateLimitExceeded');
  } finally {
    await strict.stop();
  }
});
