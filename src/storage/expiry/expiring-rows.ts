import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import type { Db, Tx } from '../connection/database.ts';
import type { Tables } from '../schema/tables.ts';

/** Rows of one table that are kept for a while. */
export interface ExpiringRows {
  readonly table: keyof Tables;
  /** Holds for rows that may go, by the database's clock; an index must lead to them. */
  readonly isExpired: RawBuilder<boolean>;
  /** Where to look for the first row to go, one place for each reason; absent where no time of the row alone decides. */
  readonly first?: readonly FirstRow[];
}

/** The least of an indexed time, which is read from the index alone. */
export interface FirstRow {
  /** Such as `min(created_at)`. */
  readonly at: RawBuilder<Date | null>;
  /** What restricts the index. */
  readonly among?: RawBuilder<boolean>;
  /** The interval after `at` at which the row may go; absent: at that time itself, and nobody knows since when it is there. */
  readonly keptFor?: RawBuilder<unknown>;
}

/** How old a first row is, and for how long it could have been gone; nothing where there is no row, or its age is not known. */
export interface FirstRowAge {
  readonly ageMs: number | null;
  /** Negative while the row is kept. */
  readonly overdueMs: number | null;
}

/**
 * Removes at most `rowsMax` of the rows that may go. A row that somebody is at stays for the next time, and one that has changed
 * meanwhile is judged again under its lock. @returns how many were removed.
 */
export async function removeExpiredRows(tx: Tx, { table, isExpired }: ExpiringRows, rowsMax: number): Promise<number> {
  const { numAffectedRows } = await sql`
    DELETE FROM ${sql.table(table)} WHERE ctid = ANY (ARRAY (
      SELECT ctid FROM ${sql.table(table)} WHERE ${isExpired} LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED))`.execute(tx);
  return Number(numAffectedRows ?? 0);
}

/** How many rows may go now; reads all of them. */
export async function countExpiredRows(db: Db, { table, isExpired }: ExpiringRows): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT count(*) FROM ${sql.table(table)} WHERE ${isExpired}`.execute(db);
  return Number(rows[0]?.count ?? 0);
}

/** The same rows but for those that go for another reason. */
export function besides(rows: ExpiringRows, other: ExpiringRows): ExpiringRows {
  return { table: rows.table, isExpired: sql<boolean>`(${rows.isExpired}) AND NOT (${other.isExpired})` };
}

/** The statement that reads the ages of all of `places`, in their order. */
export function firstRowAges(
  places: readonly (FirstRow & Pick<ExpiringRows, 'table'>)[],
): RawBuilder<FirstRowAge & { readonly place: number }> {
  const looks = places.map(
    ({ table, at, among = sql`true`, keptFor }, place) => sql`
      SELECT ${sql.lit(place)} AS place,
        ${keptFor === undefined ? sql`NULL` : sql`extract(epoch FROM now() - first.at) * 1000`}::float8 AS "ageMs",
        (extract(epoch FROM now() - (first.at + ${keptFor ?? sql`interval '0'`})) * 1000)::float8 AS "overdueMs"
      FROM (SELECT ${at} AS at FROM ${sql.table(table)} WHERE ${among}) AS first`,
  );
  return sql`${sql.join(looks, sql` UNION ALL `)} ORDER BY place`;
}
