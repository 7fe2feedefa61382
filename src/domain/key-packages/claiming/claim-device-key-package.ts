import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import { keyPackageClaimer, keyPackageOwner, openKeyPackage } from '../key-package.ts';
import type { HandedOutKeyPackage } from '../key-package.ts';
import { claimOfDevice, selectHandedOut } from '../store.ts';
import { readUses } from './used-packages.ts';

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
  const claimer = keyPackageClaimer(privacy, owner, caller.did);
  const { deviceTag, cipherSuite } = request;
  const claimOnce = (used: readonly Buffer[]): ReturnType<typeof claimOfDevice> =>
    claimOfDevice(tx, { owner, claimer, deviceTag, cipherSuite, bucketSeconds: deps.timeBucketSeconds, used });
  let row = await claimOnce([]);
  // One that is given again may be used although its row does not say so yet.
  if (row?.fresh === false && (await readUses({ privacy, db: tx }, [row.ref])).length > 0) {
    const uses = await readUses(
      { privacy, db: tx },
      await selectHandedOut(tx, { owners: [owner], claimers: [claimer] }),
    );
    row = await claimOnce(uses.map(({ ref }) => ref));
  }
  return row && { did: request.did, ...openKeyPackage(privacy, { ...row, cipherSuite }) };
}
