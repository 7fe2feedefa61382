import { createHash } from 'node:crypto';
import type { Caller } from '#domain/caller.ts';
import { endWelcomesOfPackages } from '#domain/welcomes/end-welcomes-of-packages.ts';
import { unpadFromBucket } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/database.ts';
import { keyPackageOwner } from './key-package.ts';
import { deleteByRefs, lockAvailable } from './store.ts';
import type { AvailableRow } from './store.ts';

/** What a device has left to give after a sync, and what was withdrawn; references in lower-case hex. */
export interface KeyPackageSync {
  readonly remaining: readonly string[];
  readonly orphaned: readonly string[];
}

/**
 * Withdraws those available packages of one device whose private keys it no longer has. Packages that were handed out stay:
 * their Welcome may be on its way. Of Welcomes, only those made for a withdrawn last-resort package end with it.
 * @param local.hashes what the device still has: KeyPackageRefs, or SHA-256 of the bytes as some clients count, in hex.
 */
export async function syncKeyPackages(
  deps: { db: Db; privacy: Privacy; timeBucketSeconds: number },
  caller: Caller,
  local: { deviceTag: Buffer; hashes: readonly string[] },
): Promise<KeyPackageSync> {
  const { privacy } = deps;
  const owner = keyPackageOwner(privacy, caller.did);
  const hashes = new Set(local.hashes.map((hash) => hash.toLowerCase()));
  const isLocal = (row: AvailableRow): boolean =>
    hashes.has(row.ref.toString('hex')) || hashes.has(sha256OfPackage(privacy, row));
  return deps.db.transaction().execute(async (tx) => {
    const rows = await lockAvailable(tx, owner, local.deviceTag);
    const orphans = rows.filter((row) => !isLocal(row));
    await deleteByRefs(
      tx,
      orphans.map(({ ref }) => ref),
    );
    const reusable = orphans.filter(({ lastResort }) => lastResort).map(({ ref }) => ref);
    await endWelcomesOfPackages({ ...deps, db: tx }, caller, reusable);
    const orphaned = orphans.map(({ ref }) => ref.toString('hex'));
    const gone = new Set(orphaned);
    return { remaining: rows.map(({ ref }) => ref.toString('hex')).filter((ref) => !gone.has(ref)), orphaned };
  });
}

function sha256OfPackage(privacy: Privacy, { ref, sealedPackage }: AvailableRow): string {
  const bytes = unpadFromBucket(privacy.unseal('key-package', [ref], sealedPackage));
  return createHash('sha256').update(bytes).digest('hex');
}
