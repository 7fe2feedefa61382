import type { Endpoint } from '#xrpc/endpoint.ts';
import { acceptChatRequest } from './acceptChatRequest.ts';
import { addMembers } from './addMembers.ts';
import { blockChatSender } from './blockChatSender.ts';
import { checkBlocks } from './checkBlocks.ts';
import { claimPendingDeviceAddition } from './claimPendingDeviceAddition.ts';
import { commit } from './commit.ts';
import { completePendingDeviceAddition } from './completePendingDeviceAddition.ts';
import { confirmWelcome } from './confirmWelcome.ts';
import { createConvo } from './createConvo.ts';
import { createInvite } from './createInvite.ts';
import { declineChatRequest } from './declineChatRequest.ts';
import { deleteDevice } from './deleteDevice.ts';
import { demoteAdmin } from './demoteAdmin.ts';
import { demoteModerator } from './demoteModerator.ts';
import { getAdminStats } from './getAdminStats.ts';
import { getBlockStatus } from './getBlockStatus.ts';
import { getChatRequestSettings } from './getChatRequestSettings.ts';
import { getCommits } from './getCommits.ts';
import { getConvos } from './getConvos.ts';
import { getEpoch } from './getEpoch.ts';
import { getExpectedConversations } from './getExpectedConversations.ts';
import { getGroupInfo } from './getGroupInfo.ts';
import { getKeyPackageHistory } from './getKeyPackageHistory.ts';
import { getKeyPackages } from './getKeyPackages.ts';
import { getKeyPackageStats } from './getKeyPackageStats.ts';
import { getKeyPackageStatus } from './getKeyPackageStatus.ts';
import { getMessages } from './getMessages.ts';
import { getOptInStatus } from './getOptInStatus.ts';
import { getPendingDeviceAdditions } from './getPendingDeviceAdditions.ts';
import { getPolicy } from './getPolicy.ts';
import { getReports } from './getReports.ts';
import { getRequestCount } from './getRequestCount.ts';
import { getSubscriptionTicket } from './getSubscriptionTicket.ts';
import { getWelcome } from './getWelcome.ts';
import { groupInfoRefresh } from './groupInfoRefresh.ts';
import { handleBlockChange } from './handleBlockChange.ts';
import { invalidateWelcome } from './invalidateWelcome.ts';
import { leaveConvo } from './leaveConvo.ts';
import { listChatRequests } from './listChatRequests.ts';
import { listDevices } from './listDevices.ts';
import { listInvites } from './listInvites.ts';
import { optIn } from './optIn.ts';
import { optOut } from './optOut.ts';
import { processExternalCommit } from './processExternalCommit.ts';
import { promoteAdmin } from './promoteAdmin.ts';
import { promoteModerator } from './promoteModerator.ts';
import { publishKeyPackage } from './publishKeyPackage.ts';
import { publishKeyPackages } from './publishKeyPackages.ts';
import { readdition } from './readdition.ts';
import { registerDevice } from './registerDevice.ts';
import { registerDeviceToken } from './registerDeviceToken.ts';
import { rejoin } from './rejoin.ts';
import { removeMember } from './removeMember.ts';
import { reportMember } from './reportMember.ts';
import { resolveReport } from './resolveReport.ts';
import { revokeInvite } from './revokeInvite.ts';
import { sendChatRequest } from './sendChatRequest.ts';
import { sendMessage } from './sendMessage.ts';
import { streamConvoEvents } from './streamConvoEvents.ts';
import { subscribeConvoEvents } from './subscribeConvoEvents.ts';
import { syncKeyPackages } from './syncKeyPackages.ts';
import { unregisterDeviceToken } from './unregisterDeviceToken.ts';
import { updateChatRequestSettings } from './updateChatRequestSettings.ts';
import { updateCursor } from './updateCursor.ts';
import { updateGroupInfo } from './updateGroupInfo.ts';
import { updatePolicy } from './updatePolicy.ts';
import { validateDeviceState } from './validateDeviceState.ts';
import { validateWelcome } from './validateWelcome.ts';
import { warnMember } from './warnMember.ts';

/** The factories of all methods of the service. `test/conventions` checks that the list is complete. */
const factories = {
  acceptChatRequest,
  addMembers,
  blockChatSender,
  checkBlocks,
  claimPendingDeviceAddition,
  commit,
  completePendingDeviceAddition,
  confirmWelcome,
  createConvo,
  createInvite,
  declineChatRequest,
  deleteDevice,
  demoteAdmin,
  demoteModerator,
  getAdminStats,
  getBlockStatus,
  getChatRequestSettings,
  getCommits,
  getConvos,
  getEpoch,
  getExpectedConversations,
  getGroupInfo,
  getKeyPackageHistory,
  getKeyPackages,
  getKeyPackageStats,
  getKeyPackageStatus,
  getMessages,
  getOptInStatus,
  getPendingDeviceAdditions,
  getPolicy,
  getReports,
  getRequestCount,
  getSubscriptionTicket,
  getWelcome,
  groupInfoRefresh,
  handleBlockChange,
  invalidateWelcome,
  leaveConvo,
  listChatRequests,
  listDevices,
  listInvites,
  optIn,
  optOut,
  processExternalCommit,
  promoteAdmin,
  promoteModerator,
  publishKeyPackage,
  publishKeyPackages,
  readdition,
  registerDevice,
  registerDeviceToken,
  rejoin,
  removeMember,
  reportMember,
  resolveReport,
  revokeInvite,
  sendChatRequest,
  sendMessage,
  streamConvoEvents,
  subscribeConvoEvents,
  syncKeyPackages,
  unregisterDeviceToken,
  updateChatRequestSettings,
  updateCursor,
  updateGroupInfo,
  updatePolicy,
  validateDeviceState,
  validateWelcome,
  warnMember,
} as const;

type Factories = (typeof factories)[keyof typeof factories];
type Intersection<Union> = (Union extends unknown ? (deps: Union) => void : never) extends (deps: infer All) => void
  ? All
  : never;

/** The names of the methods without their namespace, for metrics. */
export const methodNames: readonly string[] = Object.keys(factories);

export type EndpointDeps = Intersection<Parameters<Factories>[0]>;

export function createEndpoints(deps: EndpointDeps): Endpoint[] {
  return Object.values(factories).map((create) => create(deps));
}
