import { newSecret, newUuid } from '#platform/ids.ts';
import type { Role } from '../../contract/authorization.ts';
import { craftedSuite as cipherSuite } from '../mls/crafted-conversation.ts';
import { craftCommit, craftWelcome } from '../mls/crafted-mls.ts';
import type { LoopbackPds } from '../network/loopback-pds.ts';
import { MlsMember } from '../mls/mls-member.ts';
import type { TestBed } from '../test-server.ts';
import type { XrpcClient } from './xrpc-client.ts';

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const weekMs = 7 * 86_400_000;

/** The people of every scene. */
export interface Cast {
  readonly bed: TestBed;
  readonly pds: LoopbackPds;
  /** Who plays each role; the other device is the member's. */
  readonly clients: Readonly<Record<Role, XrpcClient>>;
  /** Another admin, and another member, whom things are done to. */
  readonly deputy: XrpcClient;
  readonly bystander: XrpcClient;
  /** Of the member. */
  readonly deviceId: string;
  /** Opens nothing by itself. */
  readonly cursor: string;
  /** The MLS client of each. */
  readonly mls: Readonly<Record<Role, MlsMember>>;
  readonly newPerson: () => XrpcClient;
}

/** A conversation with its people in their roles, or one that does not exist, and things in it, made when asked for. */
export interface Scene {
  readonly cast: Cast;
  readonly convoId: string;
  readonly groupId: Buffer;
  /** Of the group's epoch 0; stored for the conversation. */
  readonly groupInfo: () => Promise<Uint8Array>;
  /** Of the secret of an invite. */
  readonly pskHash: () => Promise<string>;
  readonly inviteId: () => Promise<string>;
  readonly reportId: () => Promise<string>;
  /** A device of somebody in the conversation that waits to be added to it. */
  readonly additionId: () => Promise<string>;
  /** A Welcome for the member. */
  readonly welcome: () => Promise<Uint8Array>;
  /** Somebody who asked the member to chat. */
  readonly chatRequest: () => Promise<{ requestId: string; senderDid: string }>;
  /** A block that the member made. */
  readonly block: () => { blockedDid: string; blockUri: string };
  /** The member's. */
  readonly deviceId: string;
  /** A further device of the member. */
  readonly newDeviceId: () => Promise<string>;
}

export async function keyPackageOf(
  member: MlsMember,
): Promise<{ keyPackage: string; cipherSuite: string; expires: string }> {
  const { bytes } = await member.createKeyPackage();
  return { keyPackage: base64(bytes), cipherSuite, expires: new Date(Date.now() + weekMs).toISOString() };
}

/** Registers a device of the client, a new one by default, with one key package. */
async function registerNewDevice(client: XrpcClient, known?: MlsMember): Promise<string> {
  const device = known ?? (await MlsMember.create({ did: client.did, cipherSuite }));
  const { deviceId } = await client.call('registerDevice', {
    deviceName: 'Telephone',
    keyPackages: [await keyPackageOf(device)],
    signaturePublicKey: device.device.signaturePublicKey,
  });
  return deviceId;
}

export async function gatherCast(
  bed: TestBed,
  pds: LoopbackPds,
  cursorOf: (client: XrpcClient) => Promise<string>,
): Promise<Cast> {
  const newPerson = (): XrpcClient => bed.client({ account: bed.account({ pdsUrl: pds.url }) });
  const member = newPerson();
  const clients = {
    stranger: newPerson(),
    invited: newPerson(),
    left: newPerson(),
    removed: newPerson(),
    member,
    otherDevice: bed.client({ account: member.account }),
    moderator: newPerson(),
    admin: newPerson(),
  };
  const mls = Object.fromEntries(
    await Promise.all(
      Object.entries(clients).map(
        async ([role, { did }]) => [role, await MlsMember.create({ did, cipherSuite })] as const,
      ),
    ),
  ) as Record<Role, MlsMember>;
  const deviceId = await registerNewDevice(member, mls.member);
  for (const [role, client] of Object.entries(clients)) {
    if (client !== member) await registerNewDevice(client, mls[role as Role]);
  }
  const [deputy, bystander] = [newPerson(), newPerson()];
  return { bed, pds, clients, mls, deputy, bystander, deviceId, cursor: await cursorOf(deputy), newPerson };
}

/** A new conversation at epoch 0 with everybody in their role. */
export async function newScene(cast: Cast): Promise<Scene> {
  const { clients, deputy, bystander } = cast;
  const { admin, moderator, member, left, removed } = clients;
  const ground = newGround();
  const { convoId } = ground;
  const initialMembers = [deputy, moderator, member, bystander, left, removed].map(({ did }) => did);
  await admin.call('createConvo', { groupId: convoId, cipherSuite, initialMembers });
  await admin.call('promoteAdmin', { convoId, targetDid: deputy.did });
  await admin.call('promoteModerator', { convoId, targetDid: moderator.did });
  await left.call('leaveConvo', { convoId });
  await admin.call('removeMember', { convoId, targetDid: removed.did, idempotencyKey: newUuid() });
  const pskHash = newSecret(32).toString('hex');
  const invite = once(() => admin.call('createInvite', { convoId, pskHash }));
  return {
    ...ground,
    cast,
    deviceId: cast.deviceId,
    groupInfo: once(async () => {
      const groupInfo = await makeGroup(cast, ground.groupId);
      await admin.call('updateGroupInfo', { convoId, groupInfo: base64(groupInfo), epoch: 0 });
      return groupInfo;
    }),
    pskHash: async () => {
      await invite();
      return pskHash;
    },
    inviteId: async () => (await invite()).inviteId,
    reportId: once(async () => {
      const report = { convoId, reportedDid: bystander.did, category: 'spam', encryptedContent: newSecret(64) };
      return (await deputy.call('reportMember', report)).reportId;
    }),
    additionId: once(async () => {
      const owner = cast.newPerson();
      await admin.call('addMembers', { convoId, didList: [owner.did] });
      await registerNewDevice(owner);
      const { pendingAdditions } = await admin.call('getPendingDeviceAdditions', { convoIds: [convoId] });
      return pendingAdditions.find(({ userDid }) => userDid === owner.did)?.id ?? 'none waits';
    }),
    welcome: once(() => welcomeMember(cast, ground)),
    chatRequest: once(async () => {
      const sender = cast.newPerson();
      const { requestId } = await sender.call('sendChatRequest', { recipientDid: member.did });
      return { requestId, senderDid: sender.did };
    }),
    block: () => {
      const blockedDid = cast.newPerson().did;
      return { blockedDid, blockUri: cast.pds.block(member.did, blockedDid) };
    },
    newDeviceId: () => registerNewDevice(member),
  };
}

/** The same calls can be made about this scene, and nothing in it exists. */
export function sceneOfNothing(cast: Cast): Scene {
  const ground = newGround();
  return {
    ...ground,
    cast,
    deviceId: newUuid(),
    groupInfo: () => makeGroup(cast, ground.groupId),
    pskHash: async () => newSecret(32).toString('hex'),
    inviteId: async () => newUuid(),
    reportId: async () => newUuid(),
    additionId: async () => `${newUuid()}.${newSecret(16).toString('base64url')}`,
    welcome: async () => craftWelcome([newSecret(32)]),
    chatRequest: async () => ({ requestId: newUuid(), senderDid: cast.newPerson().did }),
    block: () => {
      const { member } = cast.clients;
      return { blockedDid: cast.newPerson().did, blockUri: `at://${member.did}/app.bsky.graph.block/3kaaaaaaaaaaa` };
    },
    newDeviceId: async () => newUuid(),
  };
}

type Ground = Pick<Scene, 'convoId' | 'groupId'>;

function newGround(): Ground {
  const groupId = newSecret(16);
  return { groupId, convoId: groupId.toString('hex') };
}

/** @returns the GroupInfo of a new MLS group of the admin. */
async function makeGroup({ mls }: Cast, groupId: Buffer): Promise<Uint8Array> {
  const group = mls.admin.inAnotherGroup();
  await group.createGroup(groupId);
  return group.exportGroupInfo();
}

/** One after the other: a caller who asks twice within ten minutes gets the same key packages. */
let lastWelcome: Promise<unknown> = Promise.resolve();

function welcomeMember(cast: Cast, ground: Ground): Promise<Uint8Array> {
  const next = lastWelcome.then(() => welcomeNow(cast, ground));
  lastWelcome = next.catch(() => undefined);
  return next;
}

async function welcomeNow({ clients, mls }: Cast, { convoId, groupId }: Ground): Promise<Uint8Array> {
  const { admin, member } = clients;
  // They may have tried optOut meanwhile, and would not be found.
  await member.call('optIn', {});
  await member.call('publishKeyPackages', { keyPackages: [await keyPackageOf(mls.member)] });
  const { keyPackages } = await admin.call('getKeyPackages', { dids: [member.did], cipherSuite });
  const welcome = craftWelcome(keyPackages.map(({ keyPackageHash }) => Buffer.from(keyPackageHash ?? '', 'hex')));
  await admin.call('addMembers', {
    convoId,
    didList: [member.did],
    commit: base64(craftCommit(groupId, 0)),
    welcomeMessage: base64(welcome),
  });
  return welcome;
}

function once<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let made: Promise<Value> | undefined;
  return () => (made ??= make());
}
