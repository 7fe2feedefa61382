import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { withdrawKeyPackages } from '#domain/key-packages/stock-of-devices.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/database.ts';
import { deviceOwner } from './device.ts';
import { isDeviceId } from './require-device.ts';
import { deleteDeviceRow, selectDevice } from './store.ts';

/**
 * Forgets one of the caller's devices and withdraws the key packages that it has left to give.
 * @throws AppError DeviceNotFound for ids that are unknown or somebody else's.
 */
export async function deleteDevice(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  deviceId: string,
): Promise<{ keyPackagesDeleted: number }> {
  const owner = deviceOwner(deps.privacy, caller.did);
  return deps.db.transaction().execute(async (tx) => {
    const device = isDeviceId(deviceId) ? await selectDevice(tx, owner, deviceId) : undefined;
    if (device === undefined) throw domainError('DeviceNotFound');
    await deleteDeviceRow(tx, owner, deviceId);
    const keyPackagesDeleted = await withdrawKeyPackages({ db: tx, privacy: deps.privacy }, caller.did, device.tag);
    return { keyPackagesDeleted };
  });
}
