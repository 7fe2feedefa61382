import { createHash } from 'node:crypto';
import type { Caller } from '#domain/caller.ts';
import { endWelcomesOfPackages } from '#domain/welcomes/end-welcomes-of-packages.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { keyPackageOwner, openKeyPackage } from './key-package.ts';
import { deleteAvailableByRefs, selectAvailable } from './store.ts';

/** What a device has left to give after a sync, and what was withdrawn; references in lower-case hex. */
export interface KeyPackageSync {
  readonly remaining: readonly string[];
  readonly orphaned: readonly string[];
}

/** A package of the device, by the name of its row and by its KeyPackageRef. */
interface OwnPackage {
  readonly name: Buffer;
  readonly ref: Buffer;
  readonly lastResort: boolean;
  readonly sha256: string;
}

/**
 * Withdraws those available packages of one device whose private keys it no longer has. Packages that were handed out stay:
 * their Welcome may be on its way. Of Welcomes, only those made for a withdrawn last-resort package end with it.
 *
 * One transaction for both would join the packages to the conversations. The Welcomes are ended first, so that a repeated call
 * finds what a dead process left, and again afterwards, for those that came in between.
 * @param local.hashes what the device still has: KeyPackageRefs, or SHA-256 of the bytes as some clients count, in hex.
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
      orphans.map(({ name }) => name),
    ),
  );
  await endWelcomesOfPackages(deps, caller, reusable);
  const gone = new Set(deleted.map((name) => name.toString('hex')));
  const unlisted = new Set(orphans.map(({ name }) => name.toString('hex')));
  return {
    remaining: hexRefs(rows.filter(({ name }) => !unlisted.has(name.toString('hex')))),
    orphaned: hexRefs(orphans.filter(({ name }) => gone.has(name.toString('hex')))),
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
    return { name: row.ref, ref, lastResort: row.lastResort, sha256 };
  });
}

function hexRefs(packages: readonly OwnPackage[]): string[] {
  return packages.map(({ ref }) => ref.toString('hex'));
}
