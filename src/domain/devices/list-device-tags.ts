import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { deviceOwner } from './device.ts';
import { selectDevices } from './store.ts';

export async function listDeviceTags(deps: { db: Db; privacy: Privacy }, caller: Caller): Promise<Buffer[]> {
  const devices = await selectDevices(deps.db, deviceOwner(deps.privacy, caller.did));
  return devices.map(({ tag }) => tag);
}

/** Without a registered device the service has no signature key to compare those of key packages with. */
const unregisteredWarning =
  'No device of yours is registered, so the service cannot tell whether the key package fits one. Call registerDevice.';

/** A warning for a caller who publishes key packages without a registered device. */
export async function warnUnregistered(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
): Promise<string | undefined> {
  return (await listDeviceTags(deps, caller)).length === 0 ? unregisteredWarning : undefined;
}
