import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { deviceOwner } from './device.ts';
import { selectDeviceTags } from './store.ts';
import type { DeviceTag } from './store.ts';

/** Lists the tags of the caller's registered devices. */
export async function listDeviceTags(deps: { db: Db; privacy: Privacy }, caller: Caller): Promise<DeviceTag[]> {
  return selectDeviceTags(deps.db, deviceOwner(deps.privacy, caller.did));
}

/** Tells the client that the service knows no signature key with which it could compare the key package. */
export const unregisteredWarning =
  'No device of yours is registered, so the service cannot tell whether the key package fits one. Call registerDevice.';

/** Returns a warning for a caller who publishes key packages but has no registered device. */
export async function warnUnregistered(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
): Promise<string | undefined> {
  return (await listDeviceTags(deps, caller)).length === 0 ? unregisteredWarning : undefined;
}
