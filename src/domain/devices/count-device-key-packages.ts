import { replenishThreshold } from '#domain/key-packages/report-available-key-packages.ts';
import { countAvailableByDeviceTag } from '#domain/key-packages/available-key-packages.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { deviceOwner } from './device.ts';
import { selectDevicesInUse } from './store.ts';

/** What a device has left to give. */
export interface DeviceKeyPackageCount {
  readonly deviceId: string;
  readonly available: number;
  /** Below the number that getKeyPackageStats calls the threshold. */
  readonly isLow: boolean;
}

/** The stock of every device of these people that is not flagged as inactive, by DID; in two statements. */
export async function countDeviceKeyPackages(
  deps: { db: Db; privacy: Privacy },
  dids: readonly string[],
): Promise<ReadonlyMap<string, readonly DeviceKeyPackageCount[]>> {
  const didOf = new Map(dids.map((did) => [deviceOwner(deps.privacy, did).toString('hex'), did]));
  const owners = [...didOf.keys()].map((owner) => Buffer.from(owner, 'hex'));
  const [devices, stock] = await Promise.all([
    selectDevicesInUse(deps.db, owners),
    countAvailableByDeviceTag(deps, dids),
  ]);
  const stocks = new Map<string, DeviceKeyPackageCount[]>();
  for (const { owner, deviceId, tag } of devices) {
    const did = didOf.get(owner.toString('hex'));
    if (did === undefined) continue;
    const available = stock.get(tag.toString('hex')) ?? 0;
    const ofPerson = stocks.get(did) ?? [];
    ofPerson.push({ deviceId, available, isLow: available < replenishThreshold });
    stocks.set(did, ofPerson);
  }
  return stocks;
}
