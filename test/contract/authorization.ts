import type { MethodName } from '../support/clients/xrpc-client.ts';

/**
 * Who somebody is to the conversation, device, report or request that a call is about. Devices and Welcomes are the member's,
 * and so are the requests to chat.
 */
export const roles = [
  'stranger',
  /** A stranger who shows the secret of a valid invite. */
  'invited',
  /** Left on their own account. */
  'left',
  /** Removed by an admin. */
  'removed',
  'member',
  /** The member, calling from another device of theirs. */
  'otherDevice',
  'moderator',
  'admin',
] as const;
export type Role = (typeof roles)[number];

/** `ok`, an error name, or `nothing`: answered, as for something that does not exist. */
export type Outcome = string;

/** One row of the table. */
export type Row = Readonly<Record<Role, Outcome>>;

export type AuthorizedMethod = MethodName | 'subscribeConvoEvents';

const outside = {
  stranger: 'ConvoNotFound',
  invited: 'ConvoNotFound',
  left: 'NotMember',
  removed: 'NotMember',
} as const;

const everybody: Row = {
  stranger: 'ok',
  invited: 'ok',
  left: 'ok',
  removed: 'ok',
  member: 'ok',
  otherDevice: 'ok',
  moderator: 'ok',
  admin: 'ok',
};
const members: Row = { ...outside, member: 'ok', otherDevice: 'ok', moderator: 'ok', admin: 'ok' };
const moderators: Row = { ...members, member: 'NotAdmin', otherDevice: 'NotAdmin' };
const admins: Row = { ...moderators, moderator: 'NotAdmin' };
/** Whoever lost the group's state but may come back. */
const returning: Row = { ...members, left: 'ok' };
/** Only the member, from either device: to all others `refusal`. */
const theMember = (refusal: Outcome): Row => ({
  stranger: refusal,
  invited: refusal,
  left: refusal,
  removed: refusal,
  member: 'ok',
  otherDevice: 'ok',
  moderator: refusal,
  admin: refusal,
});
/** To whom there is no conversation, there is nothing in it. */
const outsiders = (refusal: Outcome): Pick<Row, 'stranger' | 'invited' | 'left' | 'removed'> => ({
  stranger: refusal,
  invited: refusal,
  left: refusal,
  removed: refusal,
});
const ownDevice = theMember('DeviceNotFound');
const ownRequest = theMember('RequestNotFound');
const ownWelcome: Row = {
  ...outside,
  member: 'ok',
  otherDevice: 'ok',
  moderator: 'WelcomeNotFound',
  admin: 'WelcomeNotFound',
};

/** Every method, and how it ends for whom. `test/contract/authorization.test.ts` runs every cell. */
export const authorization: Readonly<Record<AuthorizedMethod, Row>> = {
  acceptChatRequest: ownRequest,
  addMembers: members,
  blockChatSender: ownRequest,
  checkBlocks: everybody,
  claimPendingDeviceAddition: { ...members, stranger: 'nothing', invited: 'nothing' },
  commit: members,
  completePendingDeviceAddition: { ...members, ...outsiders('nothing') },
  confirmWelcome: members,
  createConvo: everybody,
  createInvite: admins,
  declineChatRequest: ownRequest,
  deleteDevice: ownDevice,
  demoteAdmin: admins,
  // The moderator in question may step down.
  demoteModerator: { ...admins, moderator: 'ok' },
  getAdminStats: { ...admins, member: 'NotAuthorized', otherDevice: 'NotAuthorized', moderator: 'NotAuthorized' },
  getBlockStatus: members,
  getChatRequestSettings: everybody,
  getCommits: members,
  getConvos: everybody,
  getEpoch: members,
  getExpectedConversations: ownDevice,
  // It shows the roster: those who left have to call rejoin first.
  getGroupInfo: { ...members, invited: 'ok' },
  getKeyPackageHistory: ownDevice,
  getKeyPackageStats: ownDevice,
  getKeyPackageStatus: ownDevice,
  getKeyPackages: everybody,
  getMessages: members,
  getOptInStatus: everybody,
  getPendingDeviceAdditions: everybody,
  getPolicy: members,
  getReports: moderators,
  getRequestCount: everybody,
  getSubscriptionTicket: members,
  getWelcome: ownWelcome,
  groupInfoRefresh: returning,
  handleBlockChange: theMember('BlockNotVerified'),
  invalidateWelcome: { ...ownWelcome, moderator: 'NotFound', admin: 'NotFound' },
  leaveConvo: members,
  listChatRequests: everybody,
  listDevices: everybody,
  listInvites: admins,
  optIn: ownDevice,
  optOut: everybody,
  processExternalCommit: { ...returning, invited: 'ok' },
  promoteAdmin: admins,
  promoteModerator: admins,
  publishKeyPackage: ownDevice,
  publishKeyPackages: everybody,
  readdition: returning,
  registerDevice: everybody,
  registerDeviceToken: ownDevice,
  rejoin: returning,
  removeMember: admins,
  reportMember: members,
  resolveReport: { ...admins, ...outsiders('ReportNotFound') },
  revokeInvite: { ...admins, ...outsiders('InviteNotFound') },
  sendChatRequest: everybody,
  sendMessage: members,
  streamConvoEvents: members,
  subscribeConvoEvents: members,
  syncKeyPackages: ownDevice,
  unregisterDeviceToken: ownDevice,
  updateChatRequestSettings: everybody,
  updateCursor: members,
  updateGroupInfo: members,
  updatePolicy: admins,
  validateDeviceState: ownDevice,
  validateWelcome: theMember('KeyPackageNotFound'),
  warnMember: moderators,
};

/** What is said of something that does not exist; said of something that does, it has to be the same byte for byte. */
export const notThere: ReadonlySet<Outcome> = new Set([
  'BlockNotVerified',
  'ConvoNotFound',
  'DeviceNotFound',
  'InviteNotFound',
  'KeyPackageNotFound',
  'ReportNotFound',
  'RequestNotFound',
  'nothing',
]);
