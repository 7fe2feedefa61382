import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { isUuid } from '#platform/ids.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { deviceOwner } from './device.ts';
import { selectSeenDevice, updateSeen } from './store.ts';

/*
 * A device counts as seen when it registers, publishes or counts key packages, or changes its push token. Calls about a
 * conversation do not count, because a device row written together with a Welcome row would link the two.
 */

/**
 * Reads the tag of one of the caller's devices and marks the device as seen.
 * @throws AppError DeviceNotFound for ids that are unknown, malformed or belong to another account.
 */
export async function recordDeviceSeen(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  deviceId: string,
): Promise<Buffer> {
  const device = isUuid(deviceId)
    ? await selectSeenDevice(deps.db, deviceOwner(deps.privacy, caller.did), deviceId)
    : undefined;
  if (device === undefined) throw domainError('DeviceNotFound');
  return device.tag;
}

/** Marks the devices with these tags as seen. Unknown tags are ignored. */
export async function recordDevicesSeenByTag(deps: { db: Db }, tags: readonly Buffer[]): Promise<void> {
  if (tags.length > 0) await updateSeen(deps.db, tags);
}
