import { newSecret, newUuid } from '#platform/ids.ts';
import type { Role } from '../../contract/authorization.ts';
import { base64, keyPackageOf } from './authorization-fixture.ts';
import type { Scene } from './authorization-fixture.ts';
import { craftedSuite as cipherSuite, craftMessage } from '../mls/crafted-conversation.ts';
import { craftCommit } from '../mls/crafted-mls.ts';
import { MlsMember } from '../mls/mls-member.ts';
import { rawRequest } from './xrpc-client.ts';
import type { MethodName, RawRequest } from './xrpc-client.ts';

type SceneCall = (scene: Scene, role: Role) => RawRequest | Promise<RawRequest>;

const commitAt = ({ groupId }: Scene, epoch: number): string => base64(craftCommit(groupId, epoch));
/** The secret that the invited person has, and nobody else. */
async function shownBy(role: Role, { pskHash }: Scene): Promise<{ pskHash?: string }> {
  return role === 'invited' ? { pskHash: await pskHash() } : {};
}

/** A person for whom it is the first time. */
const somebodyNew = ({ cast }: Scene): string => cast.newPerson().did;

/** How each method is called about a scene: a request that succeeds for those who may make it. Streams are opened, not called. */
export const sceneCalls = {
  acceptChatRequest: async ({ chatRequest }) =>
    rawRequest('acceptChatRequest', { requestId: (await chatRequest()).requestId }),
  addMembers: (scene) =>
    rawRequest('addMembers', { convoId: scene.convoId, didList: [somebodyNew(scene)], commit: commitAt(scene, 0) }),
  blockChatSender: async ({ chatRequest }) => rawRequest('blockChatSender', await chatRequest()),
  checkBlocks: ({ cast }, role) => rawRequest('checkBlocks', { dids: [cast.clients[role].did, cast.deputy.did] }),
  claimPendingDeviceAddition: async ({ additionId }) =>
    rawRequest('claimPendingDeviceAddition', { pendingAdditionId: await additionId() }),
  commit: ({ convoId, groupId }) => rawRequest('commit', { convoId, commit: craftCommit(groupId, 0) }),
  completePendingDeviceAddition: async ({ additionId, cast }, role) => {
    const pendingAdditionId = await additionId();
    await cast.clients[role].raw(
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
  demoteAdmin: ({ convoId, cast }) => rawRequest('demoteAdmin', { convoId, targetDid: cast.deputy.did }),
  demoteModerator: ({ convoId, cast }) =>
    rawRequest('demoteModerator', { convoId, targetDid: cast.clients.moderator.did }),
  getAdminStats: ({ convoId }) => rawRequest('getAdminStats', { convoId }),
  getBlockStatus: ({ convoId }) => rawRequest('getBlockStatus', { convoId }),
  getChatRequestSettings: () => rawRequest('getChatRequestSettings', {}),
  getCommits: ({ convoId }) => rawRequest('getCommits', { convoId, fromEpoch: 0 }),
  getConvos: () => rawRequest('getConvos', {}),
  getEpoch: ({ convoId }) => rawRequest('getEpoch', { convoId }),
  getExpectedConversations: ({ deviceId }) => rawRequest('getExpectedConversations', { deviceId }),
  getGroupInfo: async (scene, role) => {
    await scene.groupInfo();
    return rawRequest('getGroupInfo', { convoId: scene.convoId, ...(await shownBy(role, scene)) });
  },
  getKeyPackageHistory: ({ deviceId }) => rawRequest('getKeyPackageHistory', { deviceId }),
  getKeyPackageStats: ({ deviceId }) => rawRequest('getKeyPackageStats', { deviceId }),
  getKeyPackageStatus: ({ deviceId }) => rawRequest('getKeyPackageStatus', { deviceId }),
  getKeyPackages: ({ cast }) => rawRequest('getKeyPackages', { dids: [cast.deputy.did], cipherSuite }),
  getMessages: ({ convoId }) => rawRequest('getMessages', { convoId }),
  getOptInStatus: ({ cast }) => rawRequest('getOptInStatus', { dids: [cast.deputy.did] }),
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
  handleBlockChange: ({ block, cast }) =>
    rawRequest('handleBlockChange', { ...block(), blockerDid: cast.clients.member.did, action: 'created' }),
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
  processExternalCommit: async (scene, role) => {
    const join = await scene.cast.mls[role].inAnotherGroup().externalJoin(await scene.groupInfo());
    const externalCommit = base64(join.commit);
    const shown = await shownBy(role, scene);
    return rawRequest('processExternalCommit', { convoId: scene.convoId, externalCommit, ...shown });
  },
  promoteAdmin: ({ convoId, cast }) => rawRequest('promoteAdmin', { convoId, targetDid: cast.bystander.did }),
  promoteModerator: ({ convoId, cast }) => rawRequest('promoteModerator', { convoId, targetDid: cast.bystander.did }),
  publishKeyPackage: async ({ deviceId, cast }, role) =>
    // The device is the member's, whose other device may publish for it.
    rawRequest('publishKeyPackage', {
      ...(await keyPackageOf(cast.mls[role === 'otherDevice' ? 'member' : role])),
      deviceId,
    }),
  publishKeyPackages: async ({ cast }, role) =>
    rawRequest('publishKeyPackages', { keyPackages: [await keyPackageOf(cast.mls[role])] }),
  readdition: ({ convoId }) => rawRequest('readdition', { convoId }),
  registerDevice: async ({ cast }, role) => {
    const device = await MlsMember.create({ did: cast.clients[role].did, cipherSuite });
    return rawRequest('registerDevice', {
      deviceName: 'Tablet',
      keyPackages: [await keyPackageOf(device)],
      signaturePublicKey: device.device.signaturePublicKey,
    });
  },
  registerDeviceToken: ({ deviceId }) =>
    rawRequest('registerDeviceToken', { deviceId, pushToken: 'token-of-the-platform', platform: 'ios' }),
  rejoin: async ({ convoId, cast }, role) =>
    rawRequest('rejoin', { convoId, keyPackage: (await keyPackageOf(cast.mls[role])).keyPackage }),
  removeMember: ({ convoId, cast }) =>
    rawRequest('removeMember', { convoId, targetDid: cast.bystander.did, idempotencyKey: newUuid() }),
  reportMember: ({ convoId, cast }) =>
    rawRequest('reportMember', {
      convoId,
      reportedDid: cast.bystander.did,
      category: 'spam',
      encryptedContent: newSecret(64),
    }),
  resolveReport: async ({ reportId }) =>
    rawRequest('resolveReport', { reportId: await reportId(), action: 'dismissed' }),
  revokeInvite: async ({ inviteId }) => rawRequest('revokeInvite', { inviteId: await inviteId() }),
  sendChatRequest: (scene) => rawRequest('sendChatRequest', { recipientDid: somebodyNew(scene) }),
  sendMessage: (scene) => rawRequest('sendMessage', craftMessage(scene)),
  syncKeyPackages: ({ deviceId }) => rawRequest('syncKeyPackages', { deviceId, localHashes: [] }),
  unregisterDeviceToken: ({ deviceId }) => rawRequest('unregisterDeviceToken', { deviceId }),
  updateChatRequestSettings: () => rawRequest('updateChatRequestSettings', { autoExpireDays: 7 }),
  updateCursor: ({ convoId, cast }) => rawRequest('updateCursor', { convoId, cursor: cast.cursor }),
  updateGroupInfo: async ({ convoId, groupInfo }) =>
    rawRequest('updateGroupInfo', { convoId, groupInfo: base64(await groupInfo()), epoch: 0 }),
  updatePolicy: ({ convoId }) => rawRequest('updatePolicy', { convoId, allowInvites: true }),
  validateDeviceState: ({ deviceId }) => rawRequest('validateDeviceState', { deviceId }),
  validateWelcome: async ({ welcome }) => rawRequest('validateWelcome', { welcomeMessage: await welcome() }),
  warnMember: ({ convoId, cast }) =>
    rawRequest('warnMember', { convoId, memberDid: cast.bystander.did, reason: 'Please keep to the topic.' }),
} as const satisfies Record<Exclude<MethodName, 'streamConvoEvents'>, SceneCall>;
