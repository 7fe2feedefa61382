import type { Endpoint } from '#xrpc/endpoint.ts';
import { addMembers } from './addMembers.ts';
import { confirmWelcome } from './confirmWelcome.ts';
import { createConvo } from './createConvo.ts';
import { deleteDevice } from './deleteDevice.ts';
import { demoteAdmin } from './demoteAdmin.ts';
import { demoteModerator } from './demoteModerator.ts';
import { getCommits } from './getCommits.ts';
import { getConvos } from './getConvos.ts';
import { getEpoch } from './getEpoch.ts';
import { getGroupInfo } from './getGroupInfo.ts';
import { getKeyPackages } from './getKeyPackages.ts';
import { getKeyPackageStats } from './getKeyPackageStats.ts';
import { getMessages } from './getMessages.ts';
import { getSubscriptionTicket } from './getSubscriptionTicket.ts';
import { getWelcome } from './getWelcome.ts';
import { leaveConvo } from './leaveConvo.ts';
import { listDevices } from './listDevices.ts';
import { promoteAdmin } from './promoteAdmin.ts';
import { promoteModerator } from './promoteModerator.ts';
import { publishKeyPackage } from './publishKeyPackage.ts';
import { publishKeyPackages } from './publishKeyPackages.ts';
import { registerDevice } from './registerDevice.ts';
import { removeMember } from './removeMember.ts';
import { sendMessage } from './sendMessage.ts';
import { subscribeConvoEvents } from './subscribeConvoEvents.ts';
import { updateCursor } from './updateCursor.ts';
import { updateGroupInfo } from './updateGroupInfo.ts';

/** Every method that the service answers; `test/tidy` proves the list complete. */
const factories = {
  addMembers,
  confirmWelcome,
  createConvo,
  deleteDevice,
  demoteAdmin,
  demoteModerator,
  getCommits,
  getConvos,
  getEpoch,
  getGroupInfo,
  getKeyPackages,
  getKeyPackageStats,
  getMessages,
  getSubscriptionTicket,
  getWelcome,
  leaveConvo,
  listDevices,
  promoteAdmin,
  promoteModerator,
  publishKeyPackage,
  publishKeyPackages,
  registerDevice,
  removeMember,
  sendMessage,
  subscribeConvoEvents,
  updateCursor,
  updateGroupInfo,
} as const;

type Factories = (typeof factories)[keyof typeof factories];
type Intersection<Union> = (Union extends unknown ? (deps: Union) => void : never) extends (deps: infer All) => void
  ? All
  : never;

/** The methods' names without their namespace, for metrics. */
export const methodNames: readonly string[] = Object.keys(factories);

/** What all methods together ask for. */
export type EndpointDeps = Intersection<Parameters<Factories>[0]>;

export function createEndpoints(deps: EndpointDeps): Endpoint[] {
  return Object.values(factories).map((create) => create(deps));
}
