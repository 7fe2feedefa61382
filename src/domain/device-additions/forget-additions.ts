import type { WaitingDevice } from '#domain/devices/device.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { additionKey } from './device-addition.ts';
import { deleteClaims } from './store.ts';

/** Removes what is stored of a deleted device's additions; the others follow from the device's row and end with it. */
export async function forgetAdditions(deps: { db: Db; privacy: Privacy }, device: WaitingDevice): Promise<void> {
  const keys = device.groupIds.map((groupId) => additionKey(deps.privacy, { device, groupId }));
  await deleteClaims(deps.db, keys);
}
