import { sql } from 'kysely';
import { byteaArray } from '#storage/sql/bytea-array.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { expiredKeyPackages } from './retention.ts';

/** Maximum number of refs that one run reads into memory. The next run continues with the rest. */
const refsPerRunMax = 50_000;

/**
 * Selects the refs of expired packages. Do not call it in a transaction that writes, because the query is slow and the
 * transaction would keep its locks until the query ends.
 */
export async function selectExpired(db: Db): Promise<Buffer[]> {
  const { rows } = await sql<{ ref: Buffer }>`
    SELECT ref FROM key_packages WHERE ${expiredKeyPackages.isExpired} LIMIT ${refsPerRunMax}`.execute(db);
  return rows.map(({ ref }) => ref);
}

/**
 * Selects the refs of one-time packages that a device has in addition to its newest `perDeviceMax`, but never the
 * newest in a cipher suite. Do not call it in a transaction that writes, because the query reads all packages.
 */
export async function selectSurplus(db: Db, perDeviceMax: number): Promise<Buffer[]> {
  const { rows } = await sql<{ ref: Buffer }>`
    WITH crowded AS (
      SELECT owner, device_tag FROM key_packages WHERE state = 1 AND NOT last_resort AND NOT (${expiredKeyPackages.isExpired})
      GROUP BY owner, device_tag HAVING count(*) > ${perDeviceMax}::integer)
    SELECT ref FROM (
      SELECT ref,
        row_number() OVER (PARTITION BY owner, device_tag ORDER BY expires_at > now() DESC, published_at DESC, ref DESC) AS age,
        row_number() OVER (
          PARTITION BY owner, device_tag, cipher_suite ORDER BY expires_at > now() DESC, published_at DESC, ref DESC) AS age_in_suite
      FROM key_packages JOIN crowded USING (owner, device_tag)
      WHERE state = 1 AND NOT last_resort AND NOT (${expiredKeyPackages.isExpired})
    ) ranked WHERE age > ${perDeviceMax}::integer AND age_in_suite > 1 LIMIT ${refsPerRunMax}`.execute(db);
  return rows.map(({ ref }) => ref);
}

/**
 * Deletes the packages in `refs` that are still expired. A row that another transaction has locked stays until the next
 * run.
 */
export async function deleteExpired(tx: Tx, refs: readonly Buffer[]): Promise<number> {
  if (refs.length === 0) return 0;
  const { numAffectedRows } = await sql`
    DELETE FROM key_packages WHERE ref = ANY (ARRAY (
      SELECT ref FROM key_packages WHERE ref = ANY (${byteaArray(refs)}::bytea[]) AND ${expiredKeyPackages.isExpired}
      FOR UPDATE SKIP LOCKED))`.execute(tx);
  return Number(numAffectedRows ?? 0);
}

/**
 * Deletes the packages in `refs` that are still available. A row that another transaction has locked stays until the
 * next run.
 */
export async function deleteSurplus(tx: Tx, refs: readonly Buffer[]): Promise<number> {
  if (refs.length === 0) return 0;
  const { numAffectedRows } = await sql`
    DELETE FROM key_packages WHERE ref = ANY (ARRAY (
      SELECT ref FROM key_packages WHERE ref = ANY (${byteaArray(refs)}::bytea[]) AND state = 1 FOR UPDATE SKIP LOCKED))`.execute(
    tx,
  );
  return Number(numAffectedRows ?? 0);
}
