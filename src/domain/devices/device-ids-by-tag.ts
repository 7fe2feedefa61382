import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { deviceOwner } from './device.ts';
import { selectDevices } from './store.ts';

/**
 * Lists the ids of the caller's devices.
 * @returns the ids by device tag in hex. The key packages of a device have the same tag.
 */
export async function deviceIdsByTag(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
): Promise<ReadonlyMap<string, string>> {
  const rows = await selectDevices(deps.db, deviceOwner(deps.privacy, caller.did));
  return new Map(rows.map(({ tag, deviceId }) => [tag.toString('hex'), deviceId]));
}
