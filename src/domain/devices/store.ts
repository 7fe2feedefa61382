import { sql } from 'kysely';
import type { Db, Tx } from '#storage/database.ts';
import { bucketedNow } from '#storage/bucketed-now.ts';

export interface DeviceRow {
  readonly deviceId: string;
  readonly tag: Buffer;
  readonly uuidTag: Buffer | null;
  readonly sealedDevice: Buffer;
  readonly registeredAt: Date;
  readonly lastSeenAt: Date;
}

const deviceColumns = [
  'device_id as deviceId',
  'tag',
  'uuid_tag as uuidTag',
  'sealed_device as sealedDevice',
  'registered_at as registeredAt',
  'last_seen_at as lastSeenAt',
] as const;

/** Lets one registration of an owner run at a time, so that the device limit holds; freed with the transaction. */
export async function lockOwner(tx: Tx, owner: Buffer): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(${owner.readBigInt64BE().toString()}::bigint)`.execute(tx);
}

export async function selectDevices(db: Db, owner: Buffer): Promise<DeviceRow[]> {
  return db
    .selectFrom('devices')
    .select(deviceColumns)
    .where('owner', '=', owner)
    .orderBy('registered_at')
    .orderBy('device_id')
    .execute();
}

export async function selectDevice(db: Db, owner: Buffer, deviceId: string): Promise<DeviceRow | undefined> {
  return db
    .selectFrom('devices')
    .select(deviceColumns)
    .where('owner', '=', owner)
    .where('device_id', '=', deviceId)
    .executeTakeFirst();
}

export interface DeviceToStore {
  readonly deviceId: string;
  readonly owner: Buffer;
  readonly keyId: number;
  readonly tag: Buffer;
  readonly uuidTag: Buffer | null;
  readonly sealedDevice: Buffer;
}

/** Inserts a device, or rewrites the row that has its id. */
export async function upsertDevice(tx: Tx, device: DeviceToStore, bucketSeconds: number): Promise<void> {
  const seenAt = bucketedNow(bucketSeconds);
  const values = {
    key_id: device.keyId,
    tag: device.tag,
    uuid_tag: device.uuidTag,
    sealed_device: device.sealedDevice,
    last_seen_at: seenAt,
  };
  await tx
    .insertInto('devices')
    .values({ device_id: device.deviceId, owner: device.owner, registered_at: seenAt, ...values })
    .onConflict((conflict) => conflict.column('device_id').doUpdateSet(values))
    .execute();
}

export async function deleteDeviceRow(db: Db, owner: Buffer, deviceId: string): Promise<void> {
  await db.deleteFrom('devices').where('owner', '=', owner).where('device_id', '=', deviceId).execute();
}
