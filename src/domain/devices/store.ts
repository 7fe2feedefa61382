import { sql } from 'kysely';
import type { Db, Tx } from '#storage/database.ts';
import { bucketedNow } from '#storage/bucketed-now.ts';
import { byteaArray } from '#storage/bytea-array.ts';

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
  readonly sealedDid: Buffer;
  /** The conversations it waits for, if it is new to them; undefined leaves what is stored. */
  readonly sealedWaiting: Buffer | undefined;
}

/** Inserts a device, or rewrites the row that has its id. */
export async function upsertDevice(tx: Tx, device: DeviceToStore, bucketSeconds: number): Promise<void> {
  const seenAt = bucketedNow(bucketSeconds);
  const values = {
    key_id: device.keyId,
    tag: device.tag,
    uuid_tag: device.uuidTag,
    sealed_device: device.sealedDevice,
    sealed_did: device.sealedDid,
    ...(device.sealedWaiting === undefined ? {} : { sealed_waiting: device.sealedWaiting, waiting_since: seenAt }),
    last_seen_at: seenAt,
  };
  await tx
    .insertInto('devices')
    .values({ device_id: device.deviceId, owner: device.owner, registered_at: seenAt, ...values })
    .onConflict((conflict) => conflict.column('device_id').doUpdateSet(values))
    .execute();
}

/** A device that waits to be added to conversations, with the values that say to which. */
export interface WaitingRow {
  readonly deviceId: string;
  readonly owner: Buffer;
  readonly tag: Buffer;
  readonly sealedDid: Buffer;
  readonly sealedDevice: Buffer;
  readonly sealedWaiting: Buffer;
  readonly waitingSince: Date;
}

/** Which devices to look for: of these owners, with this id, or all that have waited since `since`. */
export type WaitingQuery =
  | { readonly owners: readonly Buffer[] }
  | { readonly deviceId: string }
  | { readonly since: Date; readonly rowsMax: number };

/** Devices that have waited for less than `waitDays`. */
export async function selectWaiting(db: Db, query: WaitingQuery, waitDays: number): Promise<WaitingRow[]> {
  let rows = db
    .selectFrom('devices')
    .select(['device_id as deviceId', 'owner', 'tag', 'sealed_did as sealedDid', 'sealed_device as sealedDevice'])
    .select(['sealed_waiting as sealedWaiting', 'waiting_since as waitingSince'])
    .where('sealed_waiting', 'is not', null)
    .where('waiting_since', '>', sql<Date>`now() - make_interval(days => ${waitDays}::integer)`)
    .orderBy('device_id');
  if ('owners' in query) rows = rows.where(sql<boolean>`owner = ANY (${byteaArray(query.owners)}::bytea[])`);
  else if ('deviceId' in query) rows = rows.where('device_id', '=', query.deviceId);
  else rows = rows.where('waiting_since', '>=', query.since).limit(query.rowsMax);
  return (await rows.execute()).flatMap(({ sealedDid, sealedWaiting, waitingSince, ...row }) =>
    sealedDid === null || sealedWaiting === null || waitingSince === null
      ? []
      : [{ ...row, sealedDid, sealedWaiting, waitingSince }],
  );
}

/** Takes the lists off devices that have waited for `waitDays`. */
export async function clearWaiting(db: Db, batch: { waitDays: number; rowsMax: number }): Promise<number> {
  const result = await db
    .updateTable('devices')
    .set({ sealed_waiting: null, waiting_since: null })
    .where('device_id', 'in', (eb) =>
      eb
        .selectFrom('devices')
        .select('device_id')
        .where('sealed_waiting', 'is not', null)
        .where('waiting_since', '<=', sql<Date>`now() - make_interval(days => ${batch.waitDays}::integer)`)
        .limit(batch.rowsMax)
        .forUpdate()
        .skipLocked(),
    )
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}

/** Stores or removes the push token of a device. */
export async function updatePushToken(
  db: Db,
  device: { owner: Buffer; deviceId: string },
  values: { sealedPushToken: Buffer | null; sealedDevice: Buffer | undefined },
): Promise<void> {
  await db
    .updateTable('devices')
    .set({
      sealed_push_token: values.sealedPushToken,
      ...(values.sealedDevice === undefined ? {} : { sealed_device: values.sealedDevice }),
    })
    .where('owner', '=', device.owner)
    .where('device_id', '=', device.deviceId)
    .execute();
}

export async function deleteDeviceRow(db: Db, owner: Buffer, deviceId: string): Promise<void> {
  await db.deleteFrom('devices').where('owner', '=', owner).where('device_id', '=', deviceId).execute();
}
