import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import { keyPackageClaimer, keyPackageOwner, openKeyPackage } from '../key-package.ts';
import type { HandedOutKeyPackage } from '../key-package.ts';
import { claimOfDevice, selectHandedOut } from '../store.ts';
import { readDeferredUses } from '../single-use/used-key-packages-store.ts';

/**
 * Hands out one package of one device to the caller. A repeated call within ten minutes returns the same package, as in
 * `claimKeyPackages`.
 * @returns undefined when the device has no available package.
 */
export async function claimDeviceKeyPackage(
  deps: { privacy: Privacy; timeBucketSeconds: number },
  tx: Tx,
  caller: Caller,
  request: { did: string; deviceTag: Buffer; cipherSuite: number },
): Promise<HandedOutKeyPackage | undefined> {
  const { privacy } = deps;
  const owner = keyPackageOwner(privacy, request.did);
  const claimer = keyPackageClaimer(privacy, owner, caller.did);
  const { deviceTag, cipherSuite } = request;
  const claimOnce = (used: readonly Buffer[]): ReturnType<typeof claimOfDevice> =>
    claimOfDevice(tx, { owner, claimer, deviceTag, cipherSuite, bucketSeconds: deps.timeBucketSeconds, used });
  let row = await claimOnce([]);
  // A package that is returned again may have a deferred use, which its row does not show yet.
  if (row?.isNewClaim === false && (await readDeferredUses({ privacy, db: tx }, [row.ref])).length > 0) {
    const uses = await readDeferredUses(
      { privacy, db: tx },
      await selectHandedOut(tx, { owners: [owner], claimers: [claimer] }),
    );
    row = await claimOnce(uses.map(({ ref }) => ref));
  }
  return row && { did: request.did, ...openKeyPackage(privacy, { ...row, cipherSuite }) };
}
