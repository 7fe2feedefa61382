import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { deviceOwner } from './device.ts';
import { selectDevice } from './store.ts';

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * The tag of one of the caller's own devices.
 * @throws AppError DeviceNotFound for ids that are unknown, malformed or somebody else's.
 */
export async function requireDeviceTag(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  deviceId: string,
): Promise<Buffer> {
  const device = isDeviceId(deviceId)
    ? await selectDevice(deps.db, deviceOwner(deps.privacy, caller.did), deviceId)
    : undefined;
  if (device === undefined) throw domainError('DeviceNotFound');
  return device.tag;
}

/** Device ids are the UUIDs that registerDevice gave out. */
export function isDeviceId(deviceId: string): boolean {
  return uuid.test(deviceId);
}
