import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import type { Db, Tx } from './database.ts';
import type { Tables } from './tables.ts';

/** Rows of one table that are kept for a while. */
export interface ExpiringRows {
  readonly table: keyof Tables;
  /** Holds for rows that may go, by the database's clock; an index must lead to them. */
  readonly isExpired: RawBuilder<boolean>;
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
