import { createHash } from 'node:crypto';
import type { Caller } from '#domain/caller.ts';
import { endWelcomesOfPackages } from '#domain/welcomes/end-welcomes-of-packages.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { keyPackageOwner, openKeyPackage } from './key-package.ts';
import { deleteAvailableByRefs, selectAvailable } from './store.ts';

/**
 * A device's available packages after a sync (`remaining`) and the withdrawn ones (`orphaned`), as KeyPackageRefs in
 * lower-case hex.
 */
export interface KeyPackageSync {
  readonly remaining: readonly string[];
  readonly orphaned: readonly string[];
}

/** A package of the device, with the ref of its row and its KeyPackageRef. */
interface OwnPackage {
  readonly storedRef: Buffer;
  readonly ref: Buffer;
  readonly lastResort: boolean;
  readonly sha256: string;
}

/**
 * Withdraws the available packages of a device whose private keys the device no longer has. Packages that were handed
 * out stay, because a Welcome may use them. Welcomes for a withdrawn last-resort package are ended.
 *
 * Packages and Welcomes are changed in separate transactions, because one transaction would link the packages to
 * conversations. Welcomes are ended first, so that a call after a crash can repeat it, and once more afterwards, for
 * Welcomes that arrived in between.
 * @param local.hashes the packages that the device still has, in hex: KeyPackageRefs, or SHA-256 of the bytes as some
 *   clients send.
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
  const deleted = await deps.db.transaction().execute((tx) =>
    deleteAvailableByRefs(
      tx,
      orphans.map(({ storedRef }) => storedRef),
    ),
  );
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
