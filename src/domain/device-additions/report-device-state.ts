import { readConversationList } from '#domain/accounts/read-conversation-list.ts';
import type { Caller } from '#domain/caller.ts';
import { requireDeviceTag } from '#domain/devices/require-device.ts';
import { readWaitingDevice } from '#domain/devices/waiting-devices.ts';
import { countAvailableOfDevices } from '#domain/key-packages/count-available-key-packages.ts';
import { entitlementKey, readEntitlements } from '#domain/membership/members/read-entitlements.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { filterPendingAdditions } from './filter-pending-additions.ts';
import type { AdditionDeps } from './filter-pending-additions.ts';

/**
 * Numbers of key packages that clients keep published for an account and for each device (wire contract of
 * validateDeviceState).
 */
const targets = { account: 50, device: 10 } as const;

/**
 * Counts that a client compares with its local state, and the number of key packages to publish (lexicon
 * validateDeviceState).
 */
export interface DeviceState {
  readonly conversations: number;
  /** Number of conversations that the device waits to be added to; 0 when no device is named. */
  readonly waiting: number;
  readonly available: number;
  readonly target: number;
  readonly perDevice: number | undefined;
  /** Conversations that the caller asked to be added to again. */
  readonly rejoining: readonly Buffer[];
}

/**
 * Reports the state of the caller's account, or of one of their devices. A device counts as a member of a conversation
 * unless it waits to be added, because the server does not read the ratchet tree.
 * @throws AppError DeviceNotFound.
 */
export async function reportDeviceState(
  deps: AdditionDeps,
  caller: Caller,
  deviceId: string | undefined,
): Promise<DeviceState> {
  const tag = deviceId === undefined ? undefined : await requireDeviceTag(deps, caller, deviceId);
  const groupIds = await readConversationList(deps, caller.did);
  const availableByTag = await countAvailableOfDevices(deps, caller.did);
  const perDevice = tag && (availableByTag.get(tag.toString('hex')) ?? 0);
  const available = perDevice ?? [...availableByTag.values()].reduce((total, count) => total + count, 0);
  return {
    conversations: groupIds.length,
    waiting: deviceId === undefined ? 0 : await countPendingAdditions(deps, deviceId, groupIds),
    available,
    target: tag === undefined ? targets.account : targets.device,
    perDevice,
    rejoining: await listRejoining(deps, caller, groupIds),
  };
}

async function listRejoining(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  groupIds: readonly Buffer[],
): Promise<Buffer[]> {
  const own = await readEntitlements(
    deps,
    groupIds.map((groupId) => ({ groupId, did: caller.did })),
  );
  return groupIds.filter((groupId) => own.get(entitlementKey(groupId, caller.did))?.needsRejoin === true);
}

async function countPendingAdditions(
  deps: AdditionDeps,
  deviceId: string,
  groupIds: readonly Buffer[],
): Promise<number> {
  const device = await readWaitingDevice(deps, deviceId);
  if (device === undefined) return 0;
  const present = new Set(groupIds.map((groupId) => groupId.toString('hex')));
  const candidates = device.groupIds
    .filter((groupId) => present.has(groupId.toString('hex')))
    .map((groupId) => ({ device, groupId }));
  return (await filterPendingAdditions(deps, candidates)).length;
}
