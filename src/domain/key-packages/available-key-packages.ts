import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { keyPackageOwner } from './key-package.ts';
import { countAvailableByTag, countUsableByTag, deleteAvailable, deleteAvailableByTags } from './store.ts';

/** Available packages of each of the person's devices, by device tag in hex. */
export async function countAvailableOfDevices(
  deps: { db: Db; privacy: Privacy },
  did: string,
): Promise<ReadonlyMap<string, number>> {
  const rows = await countAvailableByTag(deps.db, keyPackageOwner(deps.privacy, did));
  return new Map(rows.map(({ tag, count }) => [tag.toString('hex'), count]));
}

/** The same of several people, without packages past their lifetime; the tags of two people differ. */
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

/** Withdraws what a deleted device has left to give. @returns how many packages. */
export async function withdrawKeyPackages(
  deps: { db: Db; privacy: Privacy },
  did: string,
  tag: Buffer,
): Promise<number> {
  return deleteAvailable(deps.db, keyPackageOwner(deps.privacy, did), tag);
}

/** The same for devices that are known by their tags alone; a package that somebody is at stays until it expires. */
export async function withdrawOfDevices(deps: { db: Db }, tags: readonly Buffer[]): Promise<number> {
  return tags.length === 0 ? 0 : deleteAvailableByTags(deps.db, tags);
}
