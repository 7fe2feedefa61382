import type { WaitingDevice } from '#domain/devices/device.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { additionKey } from './device-addition.ts';
import { deleteClaims } from './store.ts';

/**
 * Deletes the claims of a deleted device's additions. Additions without a claim have no row of their own, so they end
 * with the device's row.
 */
export async function deleteAdditionClaims(deps: { db: Db; privacy: Privacy }, device: WaitingDevice): Promise<void> {
  const keys = device.groupIds.map((groupId) => additionKey(deps.privacy, { device, groupId }));
  await deleteClaims(deps.db, keys);
}
