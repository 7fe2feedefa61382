import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { isUuid } from '#platform/ids.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { deviceOwner } from './device.ts';
import { selectDevice } from './store.ts';

/**
 * Reads the tag of one of the caller's devices.
 * @throws AppError DeviceNotFound for ids that are unknown, malformed or belong to another account.
 */
export async function requireDeviceTag(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  deviceId: string,
): Promise<Buffer> {
  const device = isUuid(deviceId)
    ? await selectDevice(deps.db, deviceOwner(deps.privacy, caller.did), deviceId)
    : undefined;
  if (device === undefined) throw domainError('DeviceNotFound');
  return device.tag;
}
