import { readDevicesWaitingSince, readWaitingDevice } from '#domain/devices/waiting-devices.ts';
import { limits } from '#platform/limits.ts';
import { timeBucketMs } from '#privacy/buckets.ts';
import { candidatesOf } from './device-addition.ts';
import type { PendingAddition } from './device-addition.ts';
import { filterPendingOfMembers } from './filter-pending-additions.ts';
import type { AdditionDeps } from './filter-pending-additions.ts';

/** Reads the pending additions of one device in the conversations whose hex id passes `isWanted`. */
export async function readAdditionsOfDevice(
  deps: AdditionDeps,
  deviceId: string,
  isWanted: (conversationId: string) => boolean,
): Promise<PendingAddition[]> {
  const device = await readWaitingDevice(deps, deviceId);
  return device === undefined ? [] : filterPendingOfMembers(deps, candidatesOf([device], isWanted));
}

/**
 * Reads the additions in these conversations (hex ids) that a subscriber missed since `sinceMs`. Devices that
 * registered earlier in the same time bucket are included, because registration times are rounded down.
 * @returns no additions and `isComplete: false` if more than `limits.devicesPerCatchUpMax` devices are new.
 */
export async function readMissedAdditions(
  deps: AdditionDeps & { timeBucketSeconds: number },
  conversationIds: ReadonlySet<string>,
  sinceMs: number,
): Promise<{ additions: PendingAddition[]; isComplete: boolean }> {
  const since = new Date(timeBucketMs(sinceMs, deps.timeBucketSeconds));
  const devices = await readDevicesWaitingSince(deps, since, limits.devicesPerCatchUpMax);
  if (devices === undefined) return { additions: [], isComplete: false };
  const candidates = candidatesOf(devices, (conversationId) => conversationIds.has(conversationId));
  return { additions: await filterPendingOfMembers(deps, candidates), isComplete: true };
}
