import type { MethodName } from '#client/api/methods.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import type { Role } from '../../contract/authorization.ts';
import { base64, keyPackageOf } from './authorization-fixture.ts';
import type { ConversationFixture } from './authorization-fixture.ts';
import { craftedSuite as cipherSuite, craftMessage } from '../mls/crafted-conversation.ts';
import { craftCommit } from '../mls/crafted-mls.ts';
import { MlsMember } from '../mls/mls-member.ts';
import { rawRequest } from './xrpc-client.ts';
import type { RawRequest } from './xrpc-client.ts';

type MethodCall = (fixture: ConversationFixture, role: Role) => RawRequest | Promise<RawRequest>;

const commitAt = ({ groupId }: ConversationFixture, epoch: number): string => base64(craftCommit(groupId, epoch));
/** Returns the hash of the invite's secret for the invited person, and nothing for other roles. */
async function pskHashOf(role: Role, { pskHash }: ConversationFixture): Promise<{ pskHash?: string }> {
  return role === 'invited' ? { pskHash: await pskHash() } : {};
}

/** Returns the DID of a new person. */
const newDid = ({ participants }: ConversationFixture): string => participants.newPerson().did;

/** The request of each method about a fixture; it succeeds for authorized callers. Streams are opened by other functions. */
export const methodCalls = {
  acceptChatRequest: async ({ chatRequest }) =>
    rawRequest('acceptChatRequest', { requestId: (await chatRequest()).requestId }),
  addMembers: (fixture) =>
    rawRequest('addMembers', { convoId: fixture.convoId, didList: [newDid(fixture)], commit: commitAt(fixture, 0) }),
  blockChatSender: async ({ chatRequest }) => rawRequest('blockChatSender', await chatRequest()),
  checkBlocks: ({ participants }, role) =>
    rawRequest('checkBlocks', { dids: [participants.clients[role].did, participants.otherAdmin.did] }),
  claimPendingDeviceAddition: async ({ additionId }) =>
    rawRequest('claimPendingDeviceAddition', { pendingAdditionId: await additionId() }),
  commit: ({ convoId, groupId }) => rawRequest('commit', { convoId, commit: craftCommit(groupId, 0) }),
  completePendingDeviceAddition: async ({ additionId, participants }, role) => {
    const pendingAdditionId = await additionId();
    await participants.clients[role].raw(
      'claimPendingDeviceAddition',
      rawRequest('claimPendingDeviceAddition', { pendingAdditionId }),
    );
    return rawRequest('completePendingDeviceAddition', { pendingAdditionId, newEpoch: 1 });
  },
  confirmWelcome: async ({ convoId, welcome }) => {
    await welcome();
    return rawRequest('confirmWelcome', { convoId, success: true });
  },
  createConvo: () => rawRequest('createConvo', { groupId: newSecret(16).toString('hex'), cipherSuite }),
  createInvite: ({ convoId }) => rawRequest('createInvite', { convoId, pskHash: newSecret(32).toString('hex') }),
  declineChatRequest: async ({ chatRequest }) =>
    rawRequest('declineChatRequest', { requestId: (await chatRequest()).requestId }),
  deleteDevice: async ({ newDeviceId }) => rawRequest('deleteDevice', { deviceId: await newDeviceId() }),
  demoteAdmin: ({ convoId, participants }) =>
    rawRequest('demoteAdmin', { convoId, targetDid: participants.otherAdmin.did }),
  demoteModerator: ({ convoId, participants }) =>
    rawRequest('demoteModerator', { convoId, targetDid: participants.clients.moderator.did }),
  getAdminStats: ({ convoId }) => rawRequest('getAdminStats', { convoId }),
  getBlockStatus: ({ convoId }) => rawRequest('getBlockStatus', { convoId }),
  getChatRequestSettings: () => rawRequest('getChatRequestSettings', {}),
  getCommits: ({ convoId }) => rawRequest('getCommits', { convoId, fromEpoch: 0 }),
  getConvos: () => rawRequest('getConvos', {}),
  getEpoch: ({ convoId }) => rawRequest('getEpoch', { convoId }),
  getExpectedConversations: ({ deviceId }) => rawRequest('getExpectedConversations', { deviceId }),
  getGroupInfo: async (fixture, role) => {
    await fixture.groupInfo();
    return rawRequest('getGroupInfo', { convoId: fixture.convoId, ...(await pskHashOf(role, fixture)) });
  },
  getKeyPackageHistory: ({ deviceId }) => rawRequest('getKeyPackageHistory', { deviceId }),
  getKeyPackageStats: ({ deviceId }) => rawRequest('getKeyPackageStats', { deviceId }),
  getKeyPackageStatus: ({ deviceId }) => rawRequest('getKeyPackageStatus', { deviceId }),
  getKeyPackages: ({ participants }) =>
    rawRequest('getKeyPackages', { dids: [participants.otherAdmin.did], cipherSuite }),
  getMessages: ({ convoId }) => rawRequest('getMessages', { convoId }),
  getOptInStatus: ({ participants }) => rawRequest('getOptInStatus', { dids: [participants.otherAdmin.did] }),
  getPendingDeviceAdditions: ({ convoId }) => rawRequest('getPendingDeviceAdditions', { convoIds: [convoId] }),
  getPolicy: ({ convoId }) => rawRequest('getPolicy', { convoId }),
  getReports: ({ convoId }) => rawRequest('getReports', { convoId }),
  getRequestCount: () => rawRequest('getRequestCount', {}),
  getSubscriptionTicket: ({ convoId }) => rawRequest('getSubscriptionTicket', { convoId }),
  getWelcome: async ({ convoId, welcome }) => {
    await welcome();
    return rawRequest('getWelcome', { convoId });
  },
  groupInfoRefresh: ({ convoId }) => rawRequest('groupInfoRefresh', { convoId }),
  handleBlockChange: ({ block, participants }) =>
    rawRequest('handleBlockChange', { ...block(), blockerDid: participants.clients.member.did, action: 'created' }),
  invalidateWelcome: async ({ convoId, welcome }) => {
    await welcome();
    return rawRequest('invalidateWelcome', { convoId, reason: 'It does not open.' });
  },
  leaveConvo: ({ convoId }) => rawRequest('leaveConvo', { convoId }),
  listChatRequests: () => rawRequest('listChatRequests', {}),
  listDevices: () => rawRequest('listDevices', {}),
  listInvites: ({ convoId }) => rawRequest('listInvites', { convoId }),
  optIn: ({ deviceId }) => rawRequest('optIn', { deviceId }),
  optOut: () => ({ verb: 'POST' }),
  processExternalCommit: async (fixture, role) => {
    const newDevice = await MlsMember.create({ did: fixture.participants.mls[role].did, cipherSuite });
    const join = await newDevice.externalJoin(await fixture.groupInfo());
    const externalCommit = base64(join.commit);
    const shown = await pskHashOf(role, fixture);
    return rawRequest('processExternalCommit', { convoId: fixture.convoId, externalCommit, ...shown });
  },
  promoteAdmin: ({ convoId, participants }) =>
    rawRequest('promoteAdmin', { convoId, targetDid: participants.otherMember.did }),
  promoteModerator: ({ convoId, participants }) =>
    rawRequest('promoteModerator', { convoId, targetDid: participants.otherMember.did }),
  publishKeyPackage: async ({ deviceId, participants }, role) =>
    // The device belongs to the member, so the member's other device may publish for it.
    rawRequest('publishKeyPackage', {
      ...(await keyPackageOf(participants.mls[role === 'otherDevice' ? 'member' : role])),
      deviceId,
    }),
  publishKeyPackages: async ({ participants }, role) =>
    rawRequest('publishKeyPackages', { keyPackages: [await keyPackageOf(participants.mls[role])] }),
  readdition: ({ convoId }) => rawRequest('readdition', { convoId }),
  registerDevice: async ({ participants }, role) => {
    const device = await MlsMember.create({ did: participants.clients[role].did, cipherSuite });
    return rawRequest('registerDevice', {
      deviceName: 'Tablet',
      keyPackages: [await keyPackageOf(device)],
      signaturePublicKey: device.device.signaturePublicKey,
    });
  },
  registerDeviceToken: ({ deviceId }) =>
    rawRequest('registerDeviceToken', { deviceId, pushToken: 'token-of-the-platform', platform: 'ios' }),
  rejoin: async ({ convoId, participants }, role) =>
    rawRequest('rejoin', { convoId, keyPackage: (await keyPackageOf(participants.mls[role])).keyPackage }),
  removeMember: ({ convoId, participants }) =>
    rawRequest('removeMember', { convoId, targetDid: participants.otherMember.did, idempotencyKey: newUuid() }),
  reportMember: ({ convoId, participants }) =>
    rawRequest('reportMember', {
      convoId,
      reportedDid: participants.otherMember.did,
      category: 'spam',
      encryptedContent: newSecret(64),
    }),
  resolveReport: async ({ reportId }) =>
    rawRequest('resolveReport', { reportId: await reportId(), action: 'dismissed' }),
  revokeInvite: async ({ inviteId }) => rawRequest('revokeInvite', { inviteId: await inviteId() }),
  sendChatRequest: (fixture) => rawRequest('sendChatRequest', { recipientDid: newDid(fixture) }),
  sendMessage: (fixture) => rawRequest('sendMessage', craftMessage(fixture)),
  syncKeyPackages: ({ deviceId }) => rawRequest('syncKeyPackages', { deviceId, localHashes: [] }),
  unregisterDeviceToken: ({ deviceId }) => rawRequest('unregisterDeviceToken', { deviceId }),
  updateChatRequestSettings: () => rawRequest('updateChatRequestSettings', { autoExpireDays: 7 }),
  updateCursor: ({ convoId, participants }) => rawRequest('updateCursor', { convoId, cursor: participants.cursor }),
  updateGroupInfo: async ({ convoId, groupInfo }) =>
    rawRequest('updateGroupInfo', { convoId, groupInfo: base64(await groupInfo()), epoch: 0 }),
  updatePolicy: ({ convoId }) => rawRequest('updatePolicy', { convoId, allowInvites: true }),
  validateDeviceState: ({ deviceId }) => rawRequest('validateDeviceState', { deviceId }),
  validateWelcome: async ({ welcome }) => rawRequest('validateWelcome', { welcomeMessage: await welcome() }),
  warnMember: ({ convoId, participants }) =>
    rawRequest('warnMember', { convoId, memberDid: participants.otherMember.did, reason: 'Please keep to the topic.' }),
} as const satisfies Record<MethodName, MethodCall>;
