import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { deviceOwner } from './device.ts';
import { selectDevices } from './store.ts';

/** The tags of all of the caller's registered devices. */
export async function listDeviceTags(deps: { db: Db; privacy: Privacy }, caller: Caller): Promise<Buffer[]> {
  const devices = await selectDevices(deps.db, deviceOwner(deps.privacy, caller.did));
  return devices.map(({ tag }) => tag);
}

/** What the publisher of key packages is told whose signature keys the service cannot compare with anything. */
const unregisteredWarning =
  'No device of yours is registered, so the service cannot tell whether the key package fits one. Call registerDevice.';

/** A warning for a caller who publishes key packages and has no registered device. */
export async function warnUnregistered(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
): Promise<string | undefined> {
  return (await listDeviceTags(deps, caller)).length === 0 ? unregisteredWarning : undefined;
}
