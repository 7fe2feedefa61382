import { sql } from 'kysely';
import { byteaArray } from '#storage/sql/bytea-array.ts';
import type { Db } from '#storage/connection/database.ts';
import type { DeferredUse } from '../single-use/used-key-packages-store.ts';

/**
 * Counts an owner's packages by state. A package with a deferred use is counted as handed out, because its row does not
 * show the use yet.
 */
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
  readonly sealedPackage: Buffer;
  readonly publishedAt: Date;
  /** The day (UTC) on which a Welcome used the package; null if no Welcome used it. */
  readonly usedOn: Date | null;
  /** The time by which the list is ordered. */
  readonly at: Date;
}

/**
 * Selects the page that follows `after`, latest packages first. Packages with the same time are ordered by ref, so that
 * no package is left out between two pages.
 * @param page.uses the deferred uses of the owner's packages.
 */
export async function selectPackagePage(
  db: Db,
  page: {
    owner: Buffer;
    deviceTag: Buffer | undefined;
    order: 'consumed' | 'published';
    uses: readonly DeferredUse[];
    after: { at: Date; ref: Buffer } | undefined;
    limit: number;
  },
): Promise<PackagePageRow[]> {
  const usedOn = sql`CASE WHEN u.ref IS NOT NULL THEN u.used_on WHEN k.state = 3 THEN k.claimed_at END`;
  const at = page.order === 'consumed' ? usedOn : sql`k.published_at`;
  const isListed = page.order === 'consumed' ? sql`(k.state = 3 OR u.ref IS NOT NULL)` : sql`true`;
  const isAfter =
    page.after === undefined
      ? sql`true`
      : sql`(${at}, k.ref) < (${page.after.at}::timestamptz, ${page.after.ref}::bytea)`;
  const days = `{${page.uses.map((use) => use.usedOn.toISOString()).join(',')}}`;
  const { rows } = await sql<PackagePageRow>`
    SELECT k.ref, k.device_tag AS "deviceTag", k.cipher_suite AS "cipherSuite", k.sealed_package AS "sealedPackage",
           k.published_at AS "publishedAt", ${usedOn} AS "usedOn", ${at} AS at
    FROM key_packages k
    LEFT JOIN unnest(${byteaArray(page.uses.map(({ ref }) => ref))}::bytea[], ${days}::timestamptz[]) AS u(ref, used_on)
      ON u.ref = k.ref
    WHERE k.owner = ${page.owner} AND k.device_tag = coalesce(${page.deviceTag ?? null}::bytea, k.device_tag)
      AND ${isListed} AND ${isAfter}
    ORDER BY at DESC, k.ref DESC LIMIT ${page.limit}`.execute(db);
  return rows;
}
