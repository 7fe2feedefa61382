import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import type { Db, Tx } from '../connection/database.ts';
import type { Tables } from '../schema/tables.ts';

/** Describes which rows of a table have expired, and how to find the oldest row. */
export interface ExpiringRows {
  readonly table: keyof Tables;
  /** True for rows that may be removed now, by the database's clock. An index must cover the condition. */
  readonly isExpired: RawBuilder<boolean>;
  /**
   * One query for each reason to remove rows, which finds the oldest row. Absent when the times in a row alone do not
   * decide.
   */
  readonly first?: readonly FirstRow[];
}

/** Finds the oldest row by the minimum of an indexed time, which Postgres reads from the index alone. */
export interface FirstRow {
  /** For example `min(created_at)`. */
  readonly at: RawBuilder<Date | null>;
  /** The condition of the index, if the index is partial. */
  readonly among?: RawBuilder<boolean>;
  /**
   * The interval from `at` until the row may be removed. Without an interval, `at` is the time of removal and the age
   * of the row is unknown.
   */
  readonly keptFor?: RawBuilder<unknown>;
}

/**
 * The age of the oldest row and the time since it could be removed. Both are null without a row, and an unknown age is
 * null.
 */
export interface FirstRowAge {
  readonly ageMs: number | null;
  /** Milliseconds since the row could be removed, negative before that time. */
  readonly overdueMs: number | null;
}

/**
 * Removes at most `rowsMax` expired rows, and skips rows that another transaction has locked. The condition is checked
 * again after a row is locked.
 * @returns the number of removed rows.
 */
export async function removeExpiredRows(tx: Tx, { table, isExpired }: ExpiringRows, rowsMax: number): Promise<number> {
  const { numAffectedRows } = await sql`
    DELETE FROM ${sql.table(table)} WHERE ctid = ANY (ARRAY (
      SELECT ctid FROM ${sql.table(table)} WHERE ${isExpired} LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED))`.execute(tx);
  return Number(numAffectedRows ?? 0);
}

/** Counts the rows that may be removed now, which reads all of them. */
export async function countExpiredRows(db: Db, { table, isExpired }: ExpiringRows): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT count(*) FROM ${sql.table(table)} WHERE ${isExpired}`.execute(db);
  return Number(rows[0]?.count ?? 0);
}

/** Returns `rows` without the rows that have also expired by the condition of `other`. */
export function excluding(rows: ExpiringRows, other: ExpiringRows): ExpiringRows {
  return { table: rows.table, isExpired: sql<boolean>`(${rows.isExpired}) AND NOT (${other.isExpired})` };
}

/** Builds one statement that reads the ages of all `firstRows`. `place` is the index in `firstRows`. */
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
