import { replenishThreshold } from '#domain/key-packages/report-available-key-packages.ts';
import { countAvailableByDeviceTag } from '#domain/key-packages/count-available-key-packages.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { deviceOwner } from './device.ts';
import { selectDevicesInUse } from './store.ts';

/** How many key packages of a device are available, so that its owner can be told when they are few. */
export interface DeviceKeyPackageCount {
  readonly deviceId: string;
  readonly available: number;
  /** Whether `available` is below the threshold that getKeyPackageStats returns. */
  readonly isLow: boolean;
}

/**
 * Counts the available key packages of every active device of these people, with two statements for all of them.
 * @returns the counts by DID.
 */
export async function countDeviceKeyPackages(
  deps: { db: Db; privacy: Privacy },
  dids: readonly string[],
): Promise<ReadonlyMap<string, readonly DeviceKeyPackageCount[]>> {
  const didOf = new Map(dids.map((did) => [deviceOwner(deps.privacy, did).toString('hex'), did]));
  const owners = [...didOf.keys()].map((owner) => Buffer.from(owner, 'hex'));
  const [devices, availableByTag] = await Promise.all([
    selectDevicesInUse(deps.db, owners),
    countAvailableByDeviceTag(deps, dids),
  ]);
  const countsByDid = new Map<string, DeviceKeyPackageCount[]>();
  for (const { owner, deviceId, tag } of devices) {
    const did = didOf.get(owner.toString('hex'));
    if (did === undefined) continue;
    const available = availableByTag.get(tag.toString('hex')) ?? 0;
    const counts = countsByDid.get(did) ?? [];
    counts.push({ deviceId, available, isLow: available < replenishThreshold });
    countsByDid.set(did, counts);
  }
  return countsByDid;
}
