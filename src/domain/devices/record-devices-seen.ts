import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { deviceOwner } from './device.ts';
import { isDeviceId } from './require-device.ts';
import { selectSeenDevice, updateSeen } from './store.ts';

/*
 * What counts as being seen: registering, publishing or counting key packages, and push tokens. Nothing that is about a
 * conversation does, because a device's row that is rewritten beside a Welcome's would lead from one to the other.
 */

/**
 * As `requireDeviceTag`, for a device that shows by this call that it is in use.
 * @throws AppError DeviceNotFound for ids that are unknown, malformed or somebody else's.
 */
export async function recordDeviceSeen(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  deviceId: string,
): Promise<Buffer> {
  const device = isDeviceId(deviceId)
    ? await selectSeenDevice(deps.db, deviceOwner(deps.privacy, caller.did), deviceId)
    : undefined;
  if (device === undefined) throw domainError('DeviceNotFound');
  return device.tag;
}

/** The same for devices that are known by the signature keys of what they publish; tags of none are passed over. */
export async function recordDevicesSeenByTag(deps: { db: Db }, tags: readonly Buffer[]): Promise<void> {
  if (tags.length > 0) await updateSeen(deps.db, tags);
}
