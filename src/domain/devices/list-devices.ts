import type { Caller } from '#domain/caller.ts';
import { countAvailableOfDevices } from '#domain/key-packages/count-available-key-packages.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { deviceDid, deviceOwner, openDeviceDetails } from './device.ts';
import type { Device } from './device.ts';
import { selectDevices } from './store.ts';

/** Lists the caller's devices, oldest first. */
export async function listDevices(deps: { db: Db; privacy: Privacy }, caller: Caller): Promise<Device[]> {
  const rows = await selectDevices(deps.db, deviceOwner(deps.privacy, caller.did));
  const availableByTag = await countAvailableOfDevices(deps, caller.did);
  return rows.map((row) => {
    const details = openDeviceDetails(deps.privacy, row.deviceId, row.sealedDevice);
    return {
      deviceId: row.deviceId,
      deviceName: details.name,
      deviceUuid: details.uuid,
      credentialDid: deviceDid(caller.did, row.deviceId),
      registeredAt: row.registeredAt,
      // `lastSeenAt` is stored as the start of a day, which can be before the registration.
      lastSeenAt: row.lastSeenAt < row.registeredAt ? row.registeredAt : row.lastSeenAt,
      keyPackageCount: availableByTag.get(row.tag.toString('hex')) ?? 0,
    };
  });
}
