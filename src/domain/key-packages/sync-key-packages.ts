import { createHash } from 'node:crypto';
import type { Caller } from '#domain/caller.ts';
import { endWelcomesOfPackages } from '#domain/welcomes/end-welcomes-of-packages.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { keyPackageOwner, openKeyPackage } from './key-package.ts';
import { deleteAvailableByRefs, selectAvailable } from './store.ts';

/**
 * The result of a sync, as KeyPackageRefs in lower-case hex. `remaining` are the available packages of the device, and
 * `orphaned` are the packages that were deleted.
 */
export interface KeyPackageSync {
  readonly remaining: readonly string[];
  readonly orphaned: readonly string[];
}

/** An available package of the device. `storedRef` identifies its row, and `ref` is its KeyPackageRef. */
interface OwnPackage {
  readonly storedRef: Buffer;
  readonly ref: Buffer;
  readonly lastResort: boolean;
  readonly sha256: string;
}

/**
 * Deletes the available packages whose private keys the device no longer has, and ends the Welcomes for the last-resort
 * packages among them. Packages that were handed out stay, because a Welcome may use them.
 * @param local.hashes the KeyPackageRefs in hex of the packages that the device still has. Some clients send the
 *   SHA-256 of the package bytes instead.
 */
export async function syncKeyPackages(
  deps: { db: Db; privacy: Privacy; timeBucketSeconds: number },
  caller: Caller,
  local: { deviceTag: Buffer; hashes: readonly string[] },
): Promise<KeyPackageSync> {
  const hashes = new Set(local.hashes.map((hash) => hash.toLowerCase()));
  const rows = await readAvailable(deps, caller, local.deviceTag);
  const orphans = rows.filter(({ ref, sha256 }) => !hashes.has(ref.toString('hex')) && !hashes.has(sha256));
  const reusable = orphans.filter(({ lastResort }) => lastResort).map(({ ref }) => ref);
  await endWelcomesOfPackages(deps, caller, reusable);
  // Separate transactions end the Welcomes and delete the packages, because one transaction would link the packages to
  // conversations. The deletion comes second, because a call after a crash can find only packages that are still
  // stored.
  const deleted = await deps.db.transaction().execute((tx) =>
    deleteAvailableByRefs(
      tx,
      orphans.map(({ storedRef }) => storedRef),
    ),
  );
  // Ends Welcomes that were stored between the first call and the deletion.
  await endWelcomesOfPackages(deps, caller, reusable);
  const deletedRefs = new Set(deleted.map((storedRef) => storedRef.toString('hex')));
  const orphanRefs = new Set(orphans.map(({ storedRef }) => storedRef.toString('hex')));
  return {
    remaining: hexRefs(rows.filter(({ storedRef }) => !orphanRefs.has(storedRef.toString('hex')))),
    orphaned: hexRefs(orphans.filter(({ storedRef }) => deletedRefs.has(storedRef.toString('hex')))),
  };
}

async function readAvailable(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  deviceTag: Buffer,
): Promise<OwnPackage[]> {
  const rows = await selectAvailable(deps.db, keyPackageOwner(deps.privacy, caller.did), deviceTag);
  return rows.map((row) => {
    const { ref, keyPackage } = openKeyPackage(deps.privacy, row);
    const sha256 = createHash('sha256').update(keyPackage).digest('hex');
    return { storedRef: row.ref, ref, lastResort: row.lastResort, sha256 };
  });
}

function hexRefs(packages: readonly OwnPackage[]): string[] {
  return packages.map(({ ref }) => ref.toString('hex'));
}
