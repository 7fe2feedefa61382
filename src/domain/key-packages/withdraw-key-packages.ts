import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { keyPackageOwner } from './key-package.ts';
import { deleteAvailable, deleteAvailableByTags } from './store.ts';

/** Deletes the available packages of a deleted device. @returns how many packages were deleted. */
export async function withdrawKeyPackages(
  deps: { db: Db; privacy: Privacy },
  did: string,
  tag: Buffer,
): Promise<number> {
  return deleteAvailable(deps.db, keyPackageOwner(deps.privacy, did), tag);
}

/**
 * Deletes the available packages of the devices with these tags. A package that another transaction has locked is
 * skipped and stays until it expires.
 */
export async function withdrawOfDevices(deps: { db: Db }, tags: readonly Buffer[]): Promise<number> {
  return tags.length === 0 ? 0 : deleteAvailableByTags(deps.db, tags);
}
