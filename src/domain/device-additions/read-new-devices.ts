import { readDevicesWaitingSince, readWaitingDevice } from '#domain/devices/waiting-devices.ts';
import type { WaitingDevice } from '#domain/devices/device.ts';
import { entitlementKey, isActive, readEntitlements } from '#domain/membership/read-entitlements.ts';
import type { Clock } from '#platform/clock.ts';
import { limits } from '#platform/limits.ts';
import { timeBucketMs } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/database.ts';
import type { Candidate, PendingAddition } from './device-addition.ts';
import { openAdditions } from './open-additions.ts';

interface ReadDeps {
  readonly db: Db;
  readonly privacy: Privacy;
  readonly clock: Clock;
}

/** The additions of one device in those conversations for which `wants` holds (by hex id). */
export async function readAdditionsOfDevice(
  deps: ReadDeps,
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
  deps: ReadDeps & { timeBucketSeconds: number },
  conversationIds: ReadonlySet<string>,
  sinceMs: number,
): Promise<{ additions: PendingAddition[]; isComplete: boolean }> {
  const since = new Date(timeBucketMs(sinceMs, deps.timeBucketSeconds));
  const devices = await readDevicesWaitingSince(deps, since, limits.devicesPerCatchUpMax);
  if (devices === undefined) return { additions: [], isComplete: false };
  const candidates = candidatesOf(devices, (conversationId) => conversationIds.has(conversationId));
  return { additions: await openThoseOfMembers(deps, candidates), isComplete: true };
}

function candidatesOf(devices: readonly WaitingDevice[], wants: (conversationId: string) => boolean): Candidate[] {
  return devices.flatMap((device) =>
    device.groupIds.filter((groupId) => wants(groupId.toString('hex'))).map((groupId) => ({ device, groupId })),
  );
}

/** Leaves out conversations that the device's owner has left since. */
async function openThoseOfMembers(deps: ReadDeps, candidates: readonly Candidate[]): Promise<PendingAddition[]> {
  const owners = await readEntitlements(
    deps,
    candidates.map(({ device: { did }, groupId }) => ({ groupId, did })),
  );
  const present = candidates.filter(({ device: { did }, groupId }) => {
    const membership = owners.get(entitlementKey(groupId, did));
    return membership !== undefined && isActive(membership);
  });
  return openAdditions(deps, present);
}
