import { readDevicesWaitingSince, readWaitingDevice } from '#domain/devices/waiting-devices.ts';
import { limits } from '#platform/limits.ts';
import { timeBucketMs } from '#privacy/buckets.ts';
import { candidatesOf } from './device-addition.ts';
import type { PendingAddition } from './device-addition.ts';
import { openThoseOfMembers } from './open-additions.ts';
import type { OpenDeps } from './open-additions.ts';

/** The additions of one device in those conversations for which `wants` holds (by hex id). */
export async function readAdditionsOfDevice(
  deps: OpenDeps,
  deviceId: string,
  wants: (conversationId: string) => boolean,
): Promise<PendingAddition[]> {
  const device = await readWaitingDevice(deps, deviceId);
  return device === undefined ? [] : openThoseOfMembers(deps, candidatesOf([device], wants));
}

/**
 * What a subscriber missed: additions in these conversations (hex) of devices that are newer than `sinceMs`, give or take a
 * time bucket. `isComplete` is false where so many devices are new that they were not looked through.
 */
export async function readMissedAdditions(
  deps: OpenDeps & { timeBucketSeconds: number },
  conversationIds: ReadonlySet<string>,
  sinceMs: number,
): Promise<{ additions: PendingAddition[]; isComplete: boolean }> {
  const since = new Date(timeBucketMs(sinceMs, deps.timeBucketSeconds));
  const devices = await readDevicesWaitingSince(deps, since, limits.devicesPerCatchUpMax);
  if (devices === undefined) return { additions: [], isComplete: false };
  const candidates = candidatesOf(devices, (conversationId) => conversationIds.has(conversationId));
  return { additions: await openThoseOfMembers(deps, candidates), isComplete: true };
}
