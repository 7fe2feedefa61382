import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { limits } from '#platform/limits.ts';
import { isUuid } from '#platform/ids.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { deviceOwner, openDeviceDetails, sealDeviceDetails } from './device.ts';
import { lockOwner, selectDevice, updatePushToken } from './store.ts';

/** The address to which push notifications for a device are sent. */
export interface PushAddress {
  readonly token: string;
  readonly platform: string | undefined;
}

/**
 * Stores a push token for one of the caller's devices, which no method returns afterwards. A name in the call renames
 * the device, unless registerDevice would refuse the name.
 * @throws AppError DeviceNotFound for ids that are unknown, malformed or belong to another account.
 */
export async function registerDeviceToken(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  input: { deviceId: string; address: PushAddress; name: string | undefined },
): Promise<void> {
  const { deviceId, name } = input;
  const { privacy } = deps;
  const sealedPushToken = privacy.sealText('device-push-token', [deviceId], JSON.stringify(input.address));
  await changePushToken(deps, caller, deviceId, (sealedDevice) => ({
    sealedPushToken,
    sealedDevice:
      name === undefined || !isDeviceName(name)
        ? undefined
        : sealDeviceDetails(privacy, deviceId, { ...openDeviceDetails(privacy, deviceId, sealedDevice), name }),
  }));
}

function isDeviceName(name: string): boolean {
  return name.trim() !== '' && Buffer.byteLength(name) <= limits.deviceNameSizeBytesMax;
}

/**
 * Deletes the push token of a device.
 * @throws AppError DeviceNotFound for ids that are unknown, malformed or belong to another account.
 */
export async function unregisterDeviceToken(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  deviceId: string,
): Promise<void> {
  await changePushToken(deps, caller, deviceId, () => ({ sealedPushToken: null, sealedDevice: undefined }));
}

async function changePushToken(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  deviceId: string,
  change: (sealedDevice: Buffer) => { sealedPushToken: Buffer | null; sealedDevice: Buffer | undefined },
): Promise<void> {
  const owner = deviceOwner(deps.privacy, caller.did);
  await deps.db.transaction().execute(async (tx) => {
    await lockOwner(tx, owner);
    const device = isUuid(deviceId) ? await selectDevice(tx, owner, deviceId) : undefined;
    if (device === undefined) throw domainError('DeviceNotFound');
    await updatePushToken(tx, { owner, deviceId }, change(device.sealedDevice));
  });
}
