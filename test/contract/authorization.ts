import type { MethodName } from '#client/api/methods.ts';

/**
 * The caller's relation to the conversation, device, report or request of a call. Devices, Welcomes and chat requests belong to the
 * member.
 */
export const roles = [
  'nonMember',
  /** A non-member who sends the secret of a valid invite. */
  'invited',
  /** Left the conversation by leaveConvo. */
  'left',
  /** Removed by an admin. */
  'removed',
  'member',
  /** The member, who calls from another device. */
  'otherDevice',
  'moderator',
  'admin',
] as const;
export type Role = (typeof roles)[number];

/** `ok`, an error name, or `nothing`: status 200 with the same response as for something that does not exist. */
export type Outcome = string;

/** One row of the table. */
export type Row = Readonly<Record<Role, Outcome>>;

export type AuthorizedMethod = MethodName | 'streamConvoEvents' | 'subscribeConvoEvents';

const outside = {
  nonMember: 'ConvoNotFound',
  invited: 'ConvoNotFound',
  left: 'NotMember',
  removed: 'NotMember',
} as const;

const everyCaller: Row = {
  nonMember: 'ok',
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
/** Members, and people who left, who may rejoin. */
const rejoining: Row = { ...members, left: 'ok' };
/** Only the member, from either device; all others get `refusal`. */
const theMember = (refusal: Outcome): Row => ({
  nonMember: refusal,
  invited: refusal,
  left: refusal,
  removed: refusal,
  member: 'ok',
  otherDevice: 'ok',
  moderator: refusal,
  admin: refusal,
});
/** People who are not in the conversation get `refusal`. */
const outsiders = (refusal: Outcome): Pick<Row, 'nonMember' | 'invited' | 'left' | 'removed'> => ({
  nonMember: refusal,
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

/** The outcome of every method for every role. `test/contract/authorization.test.ts` runs every cell. */
export const authorization: Readonly<Record<AuthorizedMethod, Row>> = {
  acceptChatRequest: ownRequest,
  addMembers: members,
  blockChatSender: ownRequest,
  checkBlocks: everyCaller,
  claimPendingDeviceAddition: { ...members, nonMember: 'nothing', invited: 'nothing' },
  commit: members,
  completePendingDeviceAddition: { ...members, ...outsiders('nothing') },
  confirmWelcome: members,
  createConvo: everyCaller,
  createInvite: admins,
  declineChatRequest: ownRequest,
  deleteDevice: ownDevice,
  demoteAdmin: admins,
  // A moderator may demote themselves.
  demoteModerator: { ...admins, moderator: 'ok' },
  getAdminStats: { ...admins, member: 'NotAuthorized', otherDevice: 'NotAuthorized', moderator: 'NotAuthorized' },
  getBlockStatus: members,
  getChatRequestSettings: everyCaller,
  getCommits: members,
  getConvos: everyCaller,
  getEpoch: members,
  getExpectedConversations: ownDevice,
  // The GroupInfo contains the roster, so people who left must call rejoin first.
  getGroupInfo: { ...members, invited: 'ok' },
  getKeyPackageHistory: ownDevice,
  getKeyPackageStats: ownDevice,
  getKeyPackageStatus: ownDevice,
  getKeyPackages: everyCaller,
  getMessages: members,
  getOptInStatus: everyCaller,
  getPendingDeviceAdditions: everyCaller,
  getPolicy: members,
  getReports: moderators,
  getRequestCount: everyCaller,
  getSubscriptionTicket: members,
  getWelcome: ownWelcome,
  groupInfoRefresh: rejoining,
  handleBlockChange: theMember('BlockNotVerified'),
  invalidateWelcome: { ...ownWelcome, moderator: 'NotFound', admin: 'NotFound' },
  leaveConvo: members,
  listChatRequests: everyCaller,
  listDevices: everyCaller,
  listInvites: admins,
  optIn: ownDevice,
  optOut: everyCaller,
  processExternalCommit: { ...rejoining, invited: 'ok' },
  promoteAdmin: admins,
  promoteModerator: admins,
  publishKeyPackage: ownDevice,
  publishKeyPackages: everyCaller,
  readdition: rejoining,
  registerDevice: everyCaller,
  registerDeviceToken: ownDevice,
  rejoin: rejoining,
  removeMember: admins,
  reportMember: members,
  resolveReport: { ...admins, ...outsiders('ReportNotFound') },
  revokeInvite: { ...admins, ...outsiders('InviteNotFound') },
  sendChatRequest: everyCaller,
  sendMessage: members,
  streamConvoEvents: members,
  subscribeConvoEvents: members,
  syncKeyPackages: ownDevice,
  unregisterDeviceToken: ownDevice,
  updateChatRequestSettings: everyCaller,
  updateCursor: members,
  updateGroupInfo: members,
  updatePolicy: admins,
  validateDeviceState: ownDevice,
  validateWelcome: theMember('KeyPackageNotFound'),
  warnMember: moderators,
};

/** The outcomes for something that does not exist; for something that exists the response must have the same bytes. */
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
