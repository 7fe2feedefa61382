import type { WaitingDevice } from '#domain/devices/device.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { additionKey } from './device-addition.ts';
import { deleteClaims } from './store.ts';

/** Deletes the stored claims of a deleted device's additions; additions without a claim end with the device's row. */
export async function deleteAdditionClaims(deps: { db: Db; privacy: Privacy }, device: WaitingDevice): Promise<void> {
  const keys = device.groupIds.map((groupId) => additionKey(deps.privacy, { device, groupId }));
  await deleteClaims(deps.db, keys);
}
