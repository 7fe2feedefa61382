import { sql } from 'kysely';
import type { Db, Tx } from '#storage/connection/database.ts';
import { bucketedNow } from '#storage/sql/bucketed-now.ts';
import { byteaArray } from '#storage/sql/bytea-array.ts';
import { inactiveDevices, removableDevices } from './retention.ts';

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

/**
 * Allows only one transaction at a time to change an owner's devices, so that the device limit is exact. The lock ends
 * with the transaction.
 */
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

const secondsPerDay = 86_400;
/** The current time, rounded down to a day because a more exact time would show when the owner of a device is awake. */
const today = bucketedNow(secondsPerDay);

/** Selects a device and marks it as seen in one statement, which writes at most once a day. */
export async function selectSeenDevice(db: Db, owner: Buffer, deviceId: string): Promise<DeviceRow | undefined> {
  const { rows } = await sql<DeviceRow>`
    WITH seen AS (
      UPDATE devices SET last_seen_at = ${today}, inactive_since = NULL
      WHERE owner = ${owner} AND device_id = ${deviceId} AND (last_seen_at < ${today} OR inactive_since IS NOT NULL))
    SELECT device_id AS "deviceId", tag, uuid_tag AS "uuidTag", sealed_device AS "sealedDevice",
           registered_at AS "registeredAt", last_seen_at AS "lastSeenAt"
    FROM devices WHERE owner = ${owner} AND device_id = ${deviceId}`.execute(db);
  return rows[0];
}

/** The tag of a device, and whether the device already counts as seen today and active. */
export interface DeviceTag {
  readonly tag: Buffer;
  readonly isSeenToday: boolean;
}

export async function selectDeviceTags(db: Db, owner: Buffer): Promise<DeviceTag[]> {
  const { rows } = await sql<DeviceTag>`
    SELECT tag, last_seen_at >= ${today} AND inactive_since IS NULL AS "isSeenToday" FROM devices WHERE owner = ${owner}`.execute(
    db,
  );
  return rows;
}

/**
 * Marks the devices with these tags as seen, at most once a day. Rows that another transaction has locked are skipped,
 * because that transaction marks or deletes them.
 */
export async function updateSeen(db: Db, tags: readonly Buffer[]): Promise<void> {
  await sql`
    UPDATE devices SET last_seen_at = ${today}, inactive_since = NULL
    WHERE device_id = ANY (ARRAY (
      SELECT device_id FROM devices
      WHERE tag = ANY (${byteaArray(tags)}::bytea[]) AND (last_seen_at < ${today} OR inactive_since IS NOT NULL)
      FOR UPDATE SKIP LOCKED))`.execute(db);
}

/**
 * Flags at most `rowsMax` devices that had no activity for `days` days as inactive.
 * @returns how many devices were flagged.
 */
export async function flagUnseen(tx: Tx, days: number, rowsMax: number): Promise<number> {
  const { isExpired } = inactiveDevices(days);
  const { numAffectedRows } = await sql`
    UPDATE devices SET inactive_since = ${today}
    WHERE device_id = ANY (ARRAY (
      SELECT device_id FROM devices WHERE ${isExpired} LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED))`.execute(tx);
  return Number(numAffectedRows ?? 0);
}

/**
 * Deletes at most `rowsMax` devices that were flagged as inactive `days` ago.
 * @returns the tags of the deleted devices.
 */
export async function deleteFlagged(tx: Tx, days: number, rowsMax: number): Promise<Buffer[]> {
  const { isExpired } = removableDevices(days);
  const { rows } = await sql<{ tag: Buffer }>`
    DELETE FROM devices
    WHERE device_id = ANY (ARRAY (
      SELECT device_id FROM devices WHERE ${isExpired} LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED))
    RETURNING tag`.execute(tx);
  return rows.map(({ tag }) => tag);
}

/** Selects the devices of these owners that are not flagged as inactive. */
export async function selectDevicesInUse(
  db: Db,
  owners: readonly Buffer[],
): Promise<{ owner: Buffer; deviceId: string; tag: Buffer }[]> {
  return db
    .selectFrom('devices')
    .select(['owner', 'device_id as deviceId', 'tag'])
    .where(sql<boolean>`owner = ANY (${byteaArray(owners)}::bytea[])`)
    .where('inactive_since', 'is', null)
    .orderBy('registered_at')
    .execute();
}

export interface DeviceToStore {
  readonly deviceId: string;
  readonly owner: Buffer;
  readonly keyId: number;
  readonly tag: Buffer;
  readonly uuidTag: Buffer | null;
  readonly sealedDevice: Buffer;
  readonly sealedDid: Buffer;
  /** The sealed conversations that the device waits for; undefined keeps the stored value. */
  readonly sealedWaiting: Buffer | undefined;
}

/** Inserts the row of a device, or updates the row if the device is already stored. */
export async function upsertDevice(tx: Tx, device: DeviceToStore, bucketSeconds: number): Promise<void> {
  const registeredAt = bucketedNow(bucketSeconds);
  const values = {
    key_id: device.keyId,
    tag: device.tag,
    uuid_tag: device.uuidTag,
    sealed_device: device.sealedDevice,
    sealed_did: device.sealedDid,
    ...(device.sealedWaiting === undefined
      ? {}
      : { sealed_waiting: device.sealedWaiting, waiting_since: registeredAt }),
    last_seen_at: today,
    inactive_since: null,
  };
  await tx
    .insertInto('devices')
    .values({ device_id: device.deviceId, owner: device.owner, registered_at: registeredAt, ...values })
    .onConflict((conflict) => conflict.column('device_id').doUpdateSet(values))
    .execute();
}

/** The row of a device that waits to be added to conversations. Its values are still sealed. */
export interface WaitingRow {
  readonly deviceId: string;
  readonly owner: Buffer;
  readonly tag: Buffer;
  readonly sealedDid: Buffer;
  readonly sealedDevice: Buffer;
  readonly sealedWaiting: Buffer;
  readonly waitingSince: Date;
}

/**
 * Selects the waiting devices of these owners, the device with this id, or at most `rowsMax` devices that began to wait
 * at `since` or later.
 */
export type WaitingQuery =
  | { readonly owners: readonly Buffer[] }
  | { readonly deviceId: string }
  | { readonly since: Date; readonly rowsMax: number };

/** Selects devices that have waited for less than `waitDays`. */
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

/**
 * Deletes the waiting lists of devices that have waited for `waitDays`.
 * @returns how many lists were deleted, at most `rowsMax`.
 */
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

/** Stores or deletes the push token of a device and marks the device as seen. */
export async function updatePushToken(
  db: Db,
  device: { owner: Buffer; deviceId: string },
  values: { sealedPushToken: Buffer | null; sealedDevice: Buffer | undefined },
): Promise<void> {
  await db
    .updateTable('devices')
    .set({
      sealed_push_token: values.sealedPushToken,
      last_seen_at: today,
      inactive_since: null,
      ...(values.sealedDevice === undefined ? {} : { sealed_device: values.sealedDevice }),
    })
    .where('owner', '=', device.owner)
    .where('device_id', '=', device.deviceId)
    .execute();
}

export async function deleteDeviceRow(db: Db, owner: Buffer, deviceId: string): Promise<void> {
  await db.deleteFrom('devices').where('owner', '=', owner).where('device_id', '=', deviceId).execute();
}
