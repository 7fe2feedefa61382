import { sql } from 'kysely';
import type { Insertable } from 'kysely';
import type { Db, Sql, Tx } from '#storage/connection/database.ts';
import { bucketedNow } from '#storage/sql/bucketed-now.ts';
import { byteaArray } from '#storage/sql/bytea-array.ts';
import type { KeyPackagesTable } from '#storage/schema/tables.ts';
import { keyPackageStates } from './key-package.ts';

export type NewKeyPackageRow = Omit<Insertable<KeyPackagesTable>, 'state' | 'published_at'>;

/**
 * Inserts the packages that are not stored yet. Rows are inserted in the order of refs, so that two uploads of the same
 * packages cannot deadlock.
 */
export async function insertKeyPackages(
  db: Db,
  rows: readonly NewKeyPackageRow[],
  bucketSeconds: number,
): Promise<void> {
  if (rows.length === 0) return;
  await db
    .insertInto('key_packages')
    .values(
      rows
        .toSorted((a, b) => Buffer.compare(a.ref, b.ref))
        .map((row) => ({ ...row, state: keyPackageStates.available, published_at: bucketedNow(bucketSeconds) })),
    )
    .onConflict((conflict) => conflict.column('ref').doNothing())
    .execute();
}

export async function selectStates(
  db: Db,
  refs: readonly Buffer[],
): Promise<{ ref: Buffer; owner: Buffer; state: number }[]> {
  if (refs.length === 0) return [];
  return db
    .selectFrom('key_packages')
    .select(['ref', 'owner', 'state'])
    .where('ref', 'in', [...refs])
    .execute();
}

/** What is stored before packages of one owner are published. */
export interface StoredBefore {
  /** The packages that are stored already, of any owner. */
  readonly packages: readonly { readonly ref: Buffer; readonly owner: Buffer; readonly state: number }[];
  /** The numbers of available packages by device tag (hex). */
  readonly available: ReadonlyMap<string, number>;
}

/** Selects those of the packages `refs` that are stored, and counts the available packages of the owner's devices `tags`. */
export async function selectStoredBefore(
  db: Db,
  owner: Buffer,
  { refs, tags }: { refs: readonly Buffer[]; tags: readonly Buffer[] },
): Promise<StoredBefore> {
  if (refs.length === 0) return { packages: [], available: new Map() };
  const { rows } = await sql<{ key: Buffer; owner: Buffer | null; value: number }>`
    SELECT ref AS key, owner, state::bigint AS value FROM key_packages WHERE ref = ANY (${byteaArray(refs)}::bytea[])
    UNION ALL
    SELECT device_tag, NULL, count(*) FROM key_packages
    WHERE owner = ${owner} AND device_tag = ANY (${byteaArray(tags)}::bytea[]) AND state = ${keyPackageStates.available}
    GROUP BY device_tag`.execute(db);
  return {
    packages: rows.flatMap((row) => (row.owner === null ? [] : [{ ref: row.key, owner: row.owner, state: row.value }])),
    available: new Map(rows.flatMap((row) => (row.owner === null ? [[row.key.toString('hex'), row.value]] : []))),
  };
}

/** A package that a claim returns, whether it is newly handed out or returned again. */
export interface ClaimedRow {
  readonly owner: Buffer;
  readonly ref: Buffer;
  readonly sealedPackage: Buffer;
  /** Whether the claim handed out a one-time package; false for a last-resort package and for a repeated claim. */
  readonly isNewClaim: boolean;
}

export interface ClaimRequest {
  readonly owners: readonly Buffer[];
  /** `claimers[i]` is the caller's claimer pseudonym for `owners[i]`. */
  readonly claimers: readonly Buffer[];
  /** `isWithinLimit[i]` is true if one-time packages of `owners[i]` may be handed out. */
  readonly isWithinLimit: readonly boolean[];
  readonly cipherSuite: number;
  readonly devicesMax: number;
  readonly bucketSeconds: number;
  /** Stored refs of packages with a deferred use, which must not be returned again. */
  readonly used: readonly Buffer[];
}

/** Claims packages with the SQL function claim_key_packages (migrations/0018). */
export async function claim(sql: Sql, request: ClaimRequest): Promise<ClaimedRow[]> {
  return sql<ClaimedRow[]>`
    SELECT owner, ref, sealed_package AS "sealedPackage", fresh AS "isNewClaim" FROM claim_key_packages(
      ${byteaArray(request.owners)}::bytea[], ${byteaArray(request.claimers)}::bytea[],
      string_to_array(${request.isWithinLimit.join(',')}::text, ',')::boolean[], ${request.cipherSuite}::integer,
      ${request.devicesMax}::integer, ${request.bucketSeconds}::integer, ${byteaArray(request.used)}::bytea[])`;
}

/**
 * Claims one package of a device with the SQL function claim_device_key_package (migrations/0018). No claim limit
 * applies.
 */
export async function claimOfDevice(
  tx: Tx,
  request: {
    owner: Buffer;
    claimer: Buffer;
    deviceTag: Buffer;
    cipherSuite: number;
    bucketSeconds: number;
    used: readonly Buffer[];
  },
): Promise<Omit<ClaimedRow, 'owner'> | undefined> {
  const { rows } = await sql<Omit<ClaimedRow, 'owner'>>`
    SELECT ref, sealed_package AS "sealedPackage", fresh AS "isNewClaim" FROM claim_device_key_package(
      ${request.owner}::bytea, ${request.claimer}::bytea, ${request.deviceTag}::bytea, ${request.cipherSuite}::integer,
      ${request.bucketSeconds}::integer, true, ${byteaArray(request.used)}::bytea[])`.execute(tx);
  return rows[0];
}

/** The columns of a package that are checked before a Welcome uses the package. */
export interface ReadKeyPackage {
  readonly ref: Buffer;
  readonly owner: Buffer;
  readonly deviceTag: Buffer;
  readonly cipherSuite: number;
  readonly lastResort: boolean;
  readonly state: number;
  readonly claimer: Buffer | null;
  readonly sealedDid: Buffer;
}

/** Selects packages by their stored refs. The rows are not locked, because a lock would link them to a conversation. */
export async function selectByRefs(db: Db, refs: readonly Buffer[]): Promise<ReadKeyPackage[]> {
  if (refs.length === 0) return [];
  return db
    .selectFrom('key_packages')
    .select([
      'ref',
      'owner',
      'device_tag as deviceTag',
      'cipher_suite as cipherSuite',
      'last_resort as lastResort',
      'state',
      'claimer',
      'sealed_did as sealedDid',
    ])
    .where('ref', 'in', [...refs])
    .execute();
}

/**
 * Selects the stored refs of packages that were handed out, optionally only to `claimers` or only of one device.
 * Packages with a deferred use are included, because their rows do not show the use yet.
 */
export async function selectHandedOut(
  db: Db,
  of: { owners: readonly Buffer[]; claimers?: readonly Buffer[]; deviceTag?: Buffer | undefined },
): Promise<Buffer[]> {
  let rows = db
    .selectFrom('key_packages')
    .select('ref')
    .where('owner', 'in', [...of.owners])
    .where('state', '=', keyPackageStates.handedOut);
  if (of.claimers !== undefined) rows = rows.where('claimer', 'in', [...of.claimers]);
  if (of.deviceTag !== undefined) rows = rows.where('device_tag', '=', of.deviceTag);
  return (await rows.execute()).map(({ ref }) => ref);
}

/** Numbers of an owner's packages in one cipher suite. Used packages are those that were handed out or consumed. */
export interface AvailableCountRow {
  readonly cipherSuite: number;
  readonly available: number;
  readonly used: number;
  readonly usedLastDay: number;
  readonly usedLastWeek: number;
  readonly oldestExpiresAt: Date | null;
}

export async function selectAvailableCounts(
  db: Db,
  owner: Buffer,
  tag: Buffer | undefined,
): Promise<AvailableCountRow[]> {
  const rows = await sql<AvailableCountRow>`
    SELECT cipher_suite AS "cipherSuite",
           count(*) FILTER (WHERE state = 1 AND expires_at > now())::integer AS available,
           count(*) FILTER (WHERE state <> 1)::integer AS used,
           count(*) FILTER (WHERE state <> 1 AND claimed_at >= date_trunc('day', now() - interval '1 day'))::integer AS "usedLastDay",
           count(*) FILTER (WHERE state <> 1 AND claimed_at >= date_trunc('day', now() - interval '7 days'))::integer AS "usedLastWeek",
           min(coalesce(kept_until, expires_at)) FILTER (WHERE state = 1 AND expires_at > now()) AS "oldestExpiresAt"
    FROM key_packages WHERE owner = ${owner} AND device_tag = coalesce(${tag ?? null}::bytea, device_tag) GROUP BY cipher_suite ORDER BY cipher_suite`.execute(
    db,
  );
  return rows.rows;
}

/** Counts an owner's available packages by device tag, including expired packages. */
export async function countAvailableByTag(db: Db, owner: Buffer): Promise<{ tag: Buffer; count: number }[]> {
  const rows = await db
    .selectFrom('key_packages')
    .select((eb) => ['device_tag as tag', eb.fn.countAll<number>().as('count')])
    .where('owner', '=', owner)
    .where('state', '=', keyPackageStates.available)
    .groupBy('device_tag')
    .execute();
  return rows.map(({ tag, count }) => ({ tag, count: Number(count) }));
}

/** Counts the available, unexpired packages of several owners by device tag. */
export async function countUsableByTag(db: Db, owners: readonly Buffer[]): Promise<{ tag: Buffer; count: number }[]> {
  const { rows } = await sql<{ tag: Buffer; count: number }>`
    SELECT device_tag AS tag, count(*)::integer AS count FROM key_packages
    WHERE owner = ANY (${byteaArray(owners)}::bytea[]) AND state = 1 AND expires_at > now() GROUP BY device_tag`.execute(
    db,
  );
  return rows;
}

/**
 * Deletes a device's available packages. Packages that were handed out stay until they expire, because a Welcome may
 * use them.
 */
export async function deleteAvailable(db: Db, owner: Buffer, tag: Buffer): Promise<number> {
  const result = await db
    .deleteFrom('key_packages')
    .where('owner', '=', owner)
    .where('device_tag', '=', tag)
    .where('state', '=', keyPackageStates.available)
    .executeTakeFirst();
  return Number(result.numDeletedRows);
}

/**
 * Deletes the available packages of the devices with these tags. A package that another transaction has locked is
 * skipped, because waiting for it could deadlock with a claim of several people's packages.
 */
export async function deleteAvailableByTags(db: Db, tags: readonly Buffer[]): Promise<number> {
  const { numAffectedRows } = await sql`
    DELETE FROM key_packages WHERE ref = ANY (ARRAY (
      SELECT ref FROM key_packages WHERE device_tag = ANY (${byteaArray(tags)}::bytea[]) AND state = 1
      FOR UPDATE SKIP LOCKED))`.execute(db);
  return Number(numAffectedRows ?? 0);
}

/** An available package of a device, either one-time or last-resort. */
export interface AvailableRow {
  readonly ref: Buffer;
  readonly cipherSuite: number;
  readonly lastResort: boolean;
  readonly sealedPackage: Buffer;
}

/** Selects a device's available packages in the order of refs, without locking their rows. */
export async function selectAvailable(db: Db, owner: Buffer, tag: Buffer): Promise<AvailableRow[]> {
  return db
    .selectFrom('key_packages')
    .select(['ref', 'cipher_suite as cipherSuite', 'last_resort as lastResort', 'sealed_package as sealedPackage'])
    .where('owner', '=', owner)
    .where('device_tag', '=', tag)
    .where('state', '=', keyPackageStates.available)
    .orderBy('ref')
    .execute();
}

/**
 * Deletes the packages in `refs` that are still available. Rows are locked in the order of refs to prevent deadlocks,
 * and a package that another transaction claims first stays.
 * @returns the deleted refs.
 */
export async function deleteAvailableByRefs(tx: Tx, refs: readonly Buffer[]): Promise<Buffer[]> {
  if (refs.length === 0) return [];
  const { rows } = await sql<{ ref: Buffer }>`
    DELETE FROM key_packages WHERE ref = ANY (ARRAY (
      SELECT ref FROM key_packages WHERE ref = ANY (${byteaArray(refs)}::bytea[]) AND state = 1 ORDER BY ref FOR UPDATE))
    RETURNING ref`.execute(tx);
  return rows.map(({ ref }) => ref);
}
