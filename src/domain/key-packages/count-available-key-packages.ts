import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { keyPackageOwner } from './key-package.ts';
import { countAvailableByTag, countUsableByTag } from './store.ts';

/**
 * Counts the available packages of each of a person's devices, including expired ones.
 * @returns the counts by device tag in hex.
 */
export async function countAvailableOfDevices(
  deps: { db: Db; privacy: Privacy },
  did: string,
): Promise<ReadonlyMap<string, number>> {
  const rows = await countAvailableByTag(deps.db, keyPackageOwner(deps.privacy, did));
  return new Map(rows.map(({ tag, count }) => [tag.toString('hex'), count]));
}

/**
 * Counts the available, unexpired packages of each device of several people. Devices of different people never have the
 * same tag.
 * @returns the counts by device tag in hex.
 */
export async function countAvailableByDeviceTag(
  deps: { db: Db; privacy: Privacy },
  dids: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const rows = await countUsableByTag(
    deps.db,
    dids.map((did) => keyPackageOwner(deps.privacy, did)),
  );
  return new Map(rows.map(({ tag, count }) => [tag.toString('hex'), count]));
}
