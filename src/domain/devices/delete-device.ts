import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { deleteAdditionClaims } from '#domain/device-additions/delete-addition-claims.ts';
import { withdrawKeyPackages } from '#domain/key-packages/withdraw-key-packages.ts';
import { isUuid } from '#platform/ids.ts';
import { deviceOwner } from './device.ts';
import { deleteDeviceRow, selectDevice } from './store.ts';
import { readWaitingDevice } from './waiting-devices.ts';
import type { WaitingDeps } from './waiting-devices.ts';

/**
 * Deletes one of the caller's devices, its available key packages and the claims of its pending additions.
 * @throws AppError DeviceNotFound for ids that are unknown or belong to another account.
 */
export async function deleteDevice(
  deps: WaitingDeps,
  caller: Caller,
  deviceId: string,
): Promise<{ keyPackagesDeleted: number }> {
  const owner = deviceOwner(deps.privacy, caller.did);
  return deps.db.transaction().execute(async (tx) => {
    const device = isUuid(deviceId) ? await selectDevice(tx, owner, deviceId) : undefined;
    if (device === undefined) throw domainError('DeviceNotFound');
    const waiting = await readWaitingDevice({ ...deps, db: tx }, deviceId);
    if (waiting !== undefined) await deleteAdditionClaims({ ...deps, db: tx }, waiting);
    await deleteDeviceRow(tx, owner, deviceId);
    const keyPackagesDeleted = await withdrawKeyPackages({ db: tx, privacy: deps.privacy }, caller.did, device.tag);
    return { keyPackagesDeleted };
  });
}
