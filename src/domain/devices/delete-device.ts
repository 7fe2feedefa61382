import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { forgetAdditions } from '#domain/device-additions/forget-additions.ts';
import { withdrawKeyPackages } from '#domain/key-packages/available-key-packages.ts';
import { deviceOwner } from './device.ts';
import { isDeviceId } from './require-device.ts';
import { deleteDeviceRow, selectDevice } from './store.ts';
import { readWaitingDevice } from './waiting-devices.ts';
import type { WaitingDeps } from './waiting-devices.ts';

/**
 * Forgets one of the caller's devices, withdraws the key packages that it has left to give, and ends its waiting additions.
 * @throws AppError DeviceNotFound for ids that are unknown or somebody else's.
 */
export async function deleteDevice(
  deps: WaitingDeps,
  caller: Caller,
  deviceId: string,
): Promise<{ keyPackagesDeleted: number }> {
  const owner = deviceOwner(deps.privacy, caller.did);
  return deps.db.transaction().execute(async (tx) => {
    const device = isDeviceId(deviceId) ? await selectDevice(tx, owner, deviceId) : undefined;
    if (device === undefined) throw domainError('DeviceNotFound');
    const waiting = await readWaitingDevice({ ...deps, db: tx }, deviceId);
    if (waiting !== undefined) await forgetAdditions({ ...deps, db: tx }, waiting);
    await deleteDeviceRow(tx, owner, deviceId);
    const keyPackagesDeleted = await withdrawKeyPackages({ db: tx, privacy: deps.privacy }, caller.did, device.tag);
    return { keyPackagesDeleted };
  });
}
