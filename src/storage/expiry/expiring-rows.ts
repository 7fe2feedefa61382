import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import type { Db, Tx } from '../connection/database.ts';
import type { Tables } from '../schema/tables.ts';

/** Rows of one table that are stored for a limited time. */
export interface ExpiringRows {
  readonly table: keyof Tables;
  /** True for rows that may be removed, by the database's clock; must be covered by an index. */
  readonly isExpired: RawBuilder<boolean>;
  /**
   * How to read the first row to remove, one entry per reason; absent where the time of the row alone does not decide.
   */
  readonly first?: readonly FirstRow[];
}

/** The minimum of an indexed time, which is read from the index alone. */
export interface FirstRow {
  /** For example `min(created_at)`. */
  readonly at: RawBuilder<Date | null>;
  /** The condition of a partial index. */
  readonly among?: RawBuilder<boolean>;
  /**
   * The interval after `at` at which the row may be removed. Absent: the row may be removed at `at` itself, and its age
   * is unknown.
   */
  readonly keptFor?: RawBuilder<unknown>;
}

/** The age of a first row, and how long ago it could have been removed; null without a row or with an unknown age. */
export interface FirstRowAge {
  readonly ageMs: number | null;
  /** Negative while the row is within its retention. */
  readonly overdueMs: number | null;
}

/**
 * Removes at most `rowsMax` of the expired rows. A row that is locked by another transaction is skipped, and a row that
 * was changed in the meantime is checked again under its lock.
 * @returns the number of removed rows.
 */
export async function removeExpiredRows(tx: Tx, { table, isExpired }: ExpiringRows, rowsMax: number): Promise<number> {
  const { numAffectedRows } = await sql`
    DELETE FROM ${sql.table(table)} WHERE ctid = ANY (ARRAY (
      SELECT ctid FROM ${sql.table(table)} WHERE ${isExpired} LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED))`.execute(tx);
  return Number(numAffectedRows ?? 0);
}

/** The number of rows that may be removed now; reads all of them. */
export async function countExpiredRows(db: Db, { table, isExpired }: ExpiringRows): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT count(*) FROM ${sql.table(table)} WHERE ${isExpired}`.execute(db);
  return Number(rows[0]?.count ?? 0);
}

/** The same rows except those that also expire for another reason. */
export function excluding(rows: ExpiringRows, other: ExpiringRows): ExpiringRows {
  return { table: rows.table, isExpired: sql<boolean>`(${rows.isExpired}) AND NOT (${other.isExpired})` };
}

/** The statement that reads the ages of all `firstRows`, in their order. */
export function firstRowAges(
  firstRows: readonly (FirstRow & Pick<ExpiringRows, 'table'>)[],
): RawBuilder<FirstRowAge & { readonly place: number }> {
  const selects = firstRows.map(
    ({ table, at, among = sql`true`, keptFor }, index) => sql`
      SELECT ${sql.lit(index)} AS place,
        ${keptFor === undefined ? sql`NULL` : sql`extract(epoch FROM now() - first.at) * 1000`}::float8 AS "ageMs",
        (extract(epoch FROM now() - (first.at + ${keptFor ?? sql`interval '0'`})) * 1000)::float8 AS "overdueMs"
      FROM (SELECT ${at} AS at FROM ${sql.table(table)} WHERE ${among}) AS first`,
  );
  return sql`${sql.join(selects, sql` UNION ALL `)} ORDER BY place`;
}
