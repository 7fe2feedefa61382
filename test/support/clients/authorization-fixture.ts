import { newSecret, newUuid } from '#platform/ids.ts';
import type { Role } from '../../contract/authorization.ts';
import { craftedSuite as cipherSuite, createCraftedConversation, sendCrafted } from '../mls/crafted-conversation.ts';
import { craftCommit, craftWelcome } from '../mls/crafted-mls.ts';
import type { LoopbackPds } from '../network/loopback-pds.ts';
import { MlsMember } from '../mls/mls-member.ts';
import type { TestBed } from '../test-server.ts';
import { openEventStream } from './event-stream.ts';
import type { XrpcClient } from './xrpc-client.ts';

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const weekMs = 7 * 86_400_000;

/** The people of all fixtures. */
export interface Participants {
  readonly bed: TestBed;
  readonly pds: LoopbackPds;
  /** The client of each role; `otherDevice` is a second device of the member. */
  readonly clients: Readonly<Record<Role, XrpcClient>>;
  /** Another admin and another member, the targets of calls. */
  readonly otherAdmin: XrpcClient;
  readonly otherMember: XrpcClient;
  /** A device of the member. */
  readonly deviceId: string;
  /** A cursor of another conversation. */
  readonly cursor: string;
  /** The MLS client of each role. */
  readonly mls: Readonly<Record<Role, MlsMember>>;
  readonly newPerson: () => XrpcClient;
}

/** A conversation with people in all roles, or one that does not exist. Its invites, reports and so on are created at first use. */
export interface ConversationFixture {
  readonly participants: Participants;
  readonly convoId: string;
  readonly groupId: Buffer;
  /** The GroupInfo of epoch 0, also stored for the conversation. */
  readonly groupInfo: () => Promise<Uint8Array>;
  /** The hash of an invite's secret. */
  readonly pskHash: () => Promise<string>;
  readonly inviteId: () => Promise<string>;
  readonly reportId: () => Promise<string>;
  /** A device of a member that waits to be added to the conversation. */
  readonly additionId: () => Promise<string>;
  /** A Welcome for the member. */
  readonly welcome: () => Promise<Uint8Array>;
  /** A chat request to the member. */
  readonly chatRequest: () => Promise<{ requestId: string; senderDid: string }>;
  /** A block that the member made. */
  readonly block: () => { blockedDid: string; blockUri: string };
  /** A device of the member. */
  readonly deviceId: string;
  /** Another device of the member. */
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

/** Returns a cursor of a new conversation of the client. */
export async function readCursor(client: XrpcClient): Promise<string> {
  const conversation = await createCraftedConversation(client, []);
  const stream = await openEventStream(client, { convoId: conversation.convoId });
  await sendCrafted(client, conversation);
  const { cursor } = await stream.next('messageEvent');
  await stream.close();
  return cursor;
}

export async function createParticipants(
  bed: TestBed,
  pds: LoopbackPds,
  cursorOf: (client: XrpcClient) => Promise<string>,
): Promise<Participants> {
  const newPerson = (): XrpcClient => bed.client({ account: bed.account({ pdsUrl: pds.url }) });
  const member = newPerson();
  const clients = {
    nonMember: newPerson(),
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
  const [otherAdmin, otherMember] = [newPerson(), newPerson()];
  return { bed, pds, clients, mls, otherAdmin, otherMember, deviceId, cursor: await cursorOf(otherAdmin), newPerson };
}

/** Creates a conversation at epoch 0 with people in all roles. */
export async function createConversationFixture(participants: Participants): Promise<ConversationFixture> {
  const { clients, otherAdmin, otherMember } = participants;
  const { admin, moderator, member, left, removed } = clients;
  const ids = newConversationIds();
  const { convoId } = ids;
  const initialMembers = [otherAdmin, moderator, member, otherMember, left, removed].map(({ did }) => did);
  await admin.call('createConvo', { groupId: convoId, cipherSuite, initialMembers });
  await admin.call('promoteAdmin', { convoId, targetDid: otherAdmin.did });
  await admin.call('promoteModerator', { convoId, targetDid: moderator.did });
  await left.call('leaveConvo', { convoId });
  await admin.call('removeMember', { convoId, targetDid: removed.did, idempotencyKey: newUuid() });
  const pskHash = newSecret(32).toString('hex');
  const invite = once(() => admin.call('createInvite', { convoId, pskHash }));
  return {
    ...ids,
    participants,
    deviceId: participants.deviceId,
    groupInfo: once(async () => {
      const groupInfo = await makeGroup(participants, ids.groupId);
      await admin.call('updateGroupInfo', { convoId, groupInfo: base64(groupInfo), epoch: 0 });
      return groupInfo;
    }),
    pskHash: async () => {
      await invite();
      return pskHash;
    },
    inviteId: async () => (await invite()).inviteId,
    reportId: once(async () => {
      const report = { convoId, reportedDid: otherMember.did, category: 'spam', encryptedContent: newSecret(64) };
      return (await otherAdmin.call('reportMember', report)).reportId;
    }),
    additionId: once(async () => {
      const owner = participants.newPerson();
      await admin.call('addMembers', { convoId, didList: [owner.did] });
      await registerNewDevice(owner);
      const { pendingAdditions } = await admin.call('getPendingDeviceAdditions', { convoIds: [convoId] });
      return pendingAdditions.find(({ userDid }) => userDid === owner.did)?.id ?? 'no pending addition';
    }),
    welcome: once(() => welcomeMember(participants, ids)),
    chatRequest: once(async () => {
      const sender = participants.newPerson();
      const { requestId } = await sender.call('sendChatRequest', { recipientDid: member.did });
      return { requestId, senderDid: sender.did };
    }),
    block: () => {
      const blockedDid = participants.newPerson().did;
      return { blockedDid, blockUri: participants.pds.block(member.did, blockedDid) };
    },
    newDeviceId: () => registerNewDevice(member),
  };
}

/** Returns a fixture for the same calls whose conversation, devices and so on do not exist. */
export function missingConversationFixture(participants: Participants): ConversationFixture {
  const ids = newConversationIds();
  return {
    ...ids,
    participants,
    deviceId: newUuid(),
    groupInfo: () => makeGroup(participants, ids.groupId),
    pskHash: async () => newSecret(32).toString('hex'),
    inviteId: async () => newUuid(),
    reportId: async () => newUuid(),
    additionId: async () => `${newUuid()}.${newSecret(16).toString('base64url')}`,
    welcome: async () => craftWelcome([newSecret(32)]),
    chatRequest: async () => ({ requestId: newUuid(), senderDid: participants.newPerson().did }),
    block: () => {
      const { member } = participants.clients;
      return {
        blockedDid: participants.newPerson().did,
        blockUri: `at://${member.did}/app.bsky.graph.block/3kaaaaaaaaaaa`,
      };
    },
    newDeviceId: async () => newUuid(),
  };
}

type ConversationIds = Pick<ConversationFixture, 'convoId' | 'groupId'>;

function newConversationIds(): ConversationIds {
  const groupId = newSecret(16);
  return { groupId, convoId: groupId.toString('hex') };
}

/** Creates an MLS group of the admin. @returns its GroupInfo. */
async function makeGroup({ mls }: Participants, groupId: Buffer): Promise<Uint8Array> {
  const group = mls.admin.inAnotherGroup();
  await group.createGroup(groupId);
  return group.exportGroupInfo();
}

/** Welcomes are made one after the other, because two claims of a caller within ten minutes return the same key packages. */
let lastWelcome: Promise<unknown> = Promise.resolve();

function welcomeMember(participants: Participants, ids: ConversationIds): Promise<Uint8Array> {
  const next = lastWelcome.then(() => welcomeNow(participants, ids));
  lastWelcome = next.catch(() => undefined);
  return next;
}

async function welcomeNow({ clients, mls }: Participants, { convoId, groupId }: ConversationIds): Promise<Uint8Array> {
  const { admin, member } = clients;
  // Another test may have called optOut for the member.
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
