import type { Caller } from '#domain/caller.ts';
import { unpadFromBucket } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/database.ts';
import { keyPackageClaimer, keyPackageOwner } from './key-package.ts';
import type { HandedOutKeyPackage } from './key-package.ts';
import { claimOfDevice } from './store.ts';

/**
 * One package of one device, by the rules of `claimKeyPackages`: to this caller for good, the same one again for ten minutes.
 * Undefined when nothing is left.
 */
export async function claimDeviceKeyPackage(
  deps: { privacy: Privacy; timeBucketSeconds: number },
  tx: Tx,
  caller: Caller,
  request: { did: string; deviceTag: Buffer; cipherSuite: number },
): Promise<HandedOutKeyPackage | undefined> {
  const { privacy } = deps;
  const owner = keyPackageOwner(privacy, request.did);
  const row = await claimOfDevice(tx, {
    owner,
    claimer: keyPackageClaimer(privacy, owner, caller.did),
    deviceTag: request.deviceTag,
    cipherSuite: request.cipherSuite,
    bucketSeconds: deps.timeBucketSeconds,
  });
  if (row === undefined) return undefined;
  const { ref, sealedPackage } = row;
  return {
    did: request.did,
    ref,
    keyPackage: Buffer.from(unpadFromBucket(privacy.unseal('key-package', [ref], sealedPackage))),
  };
}
