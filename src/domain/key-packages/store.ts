import { sql } from 'kysely';
import type { Insertable } from 'kysely';
import type { Db, Sql, Tx } from '#storage/database.ts';
import { bucketedNow } from '#storage/bucketed-now.ts';
import { byteaArray } from '#storage/bytea-array.ts';
import type { KeyPackagesTable } from '#storage/tables.ts';
import { keyPackageStates } from './key-package.ts';

const secondsPerDay = 86_400;

export type NewKeyPackageRow = Omit<Insertable<KeyPackagesTable>, 'state' | 'published_at'>;

/** Inserts packages that are new, in ref order so that two uploads of the same ones cannot deadlock; the primary key keeps one. */
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

export async function countAvailable(db: Db, owner: Buffer, tag: Buffer): Promise<number> {
  const row = await db
    .selectFrom('key_packages')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('owner', '=', owner)
    .where('device_tag', '=', tag)
    .where('state', '=', keyPackageStates.available)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

export interface ClaimedRow {
  readonly owner: Buffer;
  readonly ref: Buffer;
  readonly sealedPackage: Buffer;
  /** Whether a one-time package has left the stock; false for the last-resort package and for a repeated claim. */
  readonly fresh: boolean;
}

/**
 * Runs claim_key_packages of migrations/0013; `claimers[i]` is the caller towards `owners[i]`, and `inBudget[i]` whether that
 * owner's one-time packages may be handed out.
 */
export async function claim(
  sql: Sql,
  request: {
    owners: readonly Buffer[];
    claimers: readonly Buffer[];
    inBudget: readonly boolean[];
    cipherSuite: number;
    devicesMax: number;
    bucketSeconds: number;
  },
): Promise<ClaimedRow[]> {
  return sql<ClaimedRow[]>`
    SELECT owner, ref, sealed_package AS "sealedPackage", fresh FROM claim_key_packages(
      ${byteaArray(request.owners)}::bytea[], ${byteaArray(request.claimers)}::bytea[],
      string_to_array(${request.inBudget.join(',')}::text, ',')::boolean[], ${request.cipherSuite}::integer,
      ${request.devicesMax}::integer, ${request.bucketSeconds}::integer)`;
}

/** Runs claim_device_key_package of migrations/0013, without regard to a budget. */
export async function claimOfDevice(
  tx: Tx,
  request: { owner: Buffer; claimer: Buffer; deviceTag: Buffer; cipherSuite: number; bucketSeconds: number },
): Promise<Pick<ClaimedRow, 'ref' | 'sealedPackage'> | undefined> {
  const { rows } = await sql<Pick<ClaimedRow, 'ref' | 'sealedPackage'>>`
    SELECT ref, sealed_package AS "sealedPackage" FROM claim_device_key_package(
      ${request.owner}::bytea, ${request.claimer}::bytea, ${request.deviceTag}::bytea, ${request.cipherSuite}::integer,
      ${request.bucketSeconds}::integer, true)`.execute(tx);
  return rows[0];
}

export interface LockedKeyPackage {
  readonly ref: Buffer;
  readonly owner: Buffer;
  readonly deviceTag: Buffer;
  readonly cipherSuite: number;
  readonly lastResort: boolean;
  readonly state: number;
  readonly claimer: Buffer | null;
  readonly sealedDid: Buffer;
}

/** Locks in ref order, so that two Welcomes cannot deadlock; the state read is the one that the lock protects. */
export async function lockByRefs(tx: Tx, refs: readonly Buffer[]): Promise<LockedKeyPackage[]> {
  if (refs.length === 0) return [];
  return tx
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
    .orderBy('ref')
    .forNoKeyUpdate()
    .execute();
}

/**
 * Uses packages up. What stays of their use is the day: a finer time, or the claimer, would tell which Welcome of a quiet
 * service used a package, and so join the conversations of its owner. `consumed_at` is the end of that day, so that a row stays
 * for at least the 24 hours that the clean-up allows it.
 */
export async function markConsumed(tx: Tx, refs: readonly Buffer[]): Promise<void> {
  if (refs.length === 0) return;
  const usedOn = bucketedNow(secondsPerDay);
  const endOfDay = sql<Date>`${usedOn} + interval '1 day'`;
  await tx
    .updateTable('key_packages')
    .set({ state: keyPackageStates.consumed, claimer: null, claimed_at: usedOn, consumed_at: endOfDay })
    .where('ref', 'in', [...refs])
    .execute();
}

/** Counts of one owner's packages per suite. */
export interface StockRow {
  readonly cipherSuite: number;
  readonly available: number;
  readonly used: number;
  readonly usedLastDay: number;
  readonly usedLastWeek: number;
  readonly oldestExpiresAt: Date | null;
}

export async function selectStock(db: Db, owner: Buffer, tag: Buffer | undefined): Promise<StockRow[]> {
  const rows = await sql<StockRow>`
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

export async function countUsableByTag(db: Db, owners: readonly Buffer[]): Promise<{ tag: Buffer; count: number }[]> {
  const { rows } = await sql<{ tag: Buffer; count: number }>`
    SELECT device_tag AS tag, count(*)::integer AS count FROM key_packages
    WHERE owner = ANY (${byteaArray(owners)}::bytea[]) AND state = 1 AND expires_at > now() GROUP BY device_tag`.execute(
    db,
  );
  return rows;
}

/** Deletes what a device has left to give; packages on their way to a Welcome stay until they expire. */
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
 * The same for devices of anybody. A package that somebody is at stays: waiting for it while others are locked could deadlock with
 * a claim of several people's packages.
 */
export async function deleteAvailableByTags(db: Db, tags: readonly Buffer[]): Promise<number> {
  const { numAffectedRows } = await sql`
    DELETE FROM key_packages WHERE ref = ANY (ARRAY (
      SELECT ref FROM key_packages WHERE device_tag = ANY (${byteaArray(tags)}::bytea[]) AND state = 1
      FOR UPDATE SKIP LOCKED))`.execute(db);
  return Number(numAffectedRows ?? 0);
}

/** An available package of a device, last-resort ones included. */
export interface AvailableRow {
  readonly ref: Buffer;
  readonly lastResort: boolean;
  readonly sealedPackage: Buffer;
}

/** Locks in ref order; a package that somebody claims meanwhile is waited for and then no longer among them. */
export async function lockAvailable(tx: Tx, owner: Buffer, tag: Buffer): Promise<AvailableRow[]> {
  return tx
    .selectFrom('key_packages')
    .select(['ref', 'last_resort as lastResort', 'sealed_package as sealedPackage'])
    .where('owner', '=', owner)
    .where('device_tag', '=', tag)
    .where('state', '=', keyPackageStates.available)
    .orderBy('ref')
    .forUpdate()
    .execute();
}

export async function deleteByRefs(tx: Tx, refs: readonly Buffer[]): Promise<void> {
  if (refs.length === 0) return;
  await tx
    .deleteFrom('key_packages')
    .where('ref', 'in', [...refs])
    .execute();
}

export async function countByState(
  db: Db,
  owner: Buffer,
  tag: Buffer | undefined,
): Promise<{ total: number; available: number; handedOut: number; consumed: number }> {
  const { rows } = await sql<{ total: number; available: number; handedOut: number; consumed: number }>`
    SELECT count(*)::integer AS total, count(*) FILTER (WHERE state = 1 AND expires_at > now())::integer AS available,
           count(*) FILTER (WHERE state = 2)::integer AS "handedOut", count(*) FILTER (WHERE state = 3)::integer AS consumed
    FROM key_packages WHERE owner = ${owner} AND device_tag = coalesce(${tag ?? null}::bytea, device_tag)`.execute(db);
  return rows[0] ?? { total: 0, available: 0, handedOut: 0, consumed: 0 };
}

export interface PackagePageRow {
  readonly ref: Buffer;
  readonly deviceTag: Buffer;
  readonly cipherSuite: number;
  readonly state: number;
  readonly publishedAt: Date;
  readonly usedOn: Date | null;
  /** The time that the list is ordered by. */
  readonly at: Date;
}

/** A page behind `after`, latest first; packages of one time follow each other by ref, so that none is passed over. */
export async function selectPackagePage(
  db: Db,
  page: {
    owner: Buffer;
    deviceTag: Buffer | undefined;
    order: 'consumed' | 'published';
    after: { at: Date; ref: Buffer } | undefined;
    limit: number;
  },
): Promise<PackagePageRow[]> {
  const at = page.order === 'consumed' ? 'claimed_at' : 'published_at';
  let rows = db
    .selectFrom('key_packages')
    .select(['ref', 'device_tag as deviceTag', 'cipher_suite as cipherSuite', 'state'])
    .select(['published_at as publishedAt', 'claimed_at as usedOn', sql<Date>`${sql.ref(at)}`.as('at')])
    .where('owner', '=', page.owner);
  if (page.deviceTag !== undefined) rows = rows.where('device_tag', '=', page.deviceTag);
  if (page.order === 'consumed') rows = rows.where('state', '=', keyPackageStates.consumed);
  if (page.after !== undefined)
    rows = rows.where(sql<boolean>`(${sql.ref(at)}, ref) < (${page.after.at}::timestamptz, ${page.after.ref}::bytea)`);
  return rows.orderBy(at, 'desc').orderBy('ref', 'desc').limit(page.limit).execute();
}
