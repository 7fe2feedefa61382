import { sql } from 'kysely';
import type { Db } from '#storage/connection/database.ts';

/** Counts the waiting list changes and key package uses, each up to `max`. */
export async function countDeferredWrites(db: Db, max: number): Promise<{ changes: number; uses: number }> {
  const { rows } = await sql<{ changes: number; uses: number }>`
    SELECT (SELECT count(*)::integer FROM (SELECT 1 FROM conversation_list_changes LIMIT ${max}) c) AS changes,
           (SELECT count(*)::integer FROM (SELECT 1 FROM used_key_packages LIMIT ${max}) u) AS uses`.execute(db);
  return rows[0] ?? { changes: 0, uses: 0 };
}

/** Returns whether the interval has ended. It only reads, because a write would take a transaction id. */
export async function isIntervalOver(db: Db, intervalSeconds: number): Promise<boolean> {
  const { rows } = await sql<{ isOver: boolean }>`
    SELECT settled_at <= now() - make_interval(secs => ${intervalSeconds}::integer) AS "isOver" FROM last_settlement`.execute(
    db,
  );
  return rows[0]?.isOver === true;
}

/**
 * Begins a new interval.
 * @returns false when another server began it first, because only one of two concurrent updates changes the row.
 */
export async function beginInterval(db: Db, intervalSeconds: number): Promise<boolean> {
  const { numAffectedRows } = await sql`
    UPDATE last_settlement SET settled_at = date_trunc('minute', now())
    WHERE settled_at <= now() - make_interval(secs => ${intervalSeconds}::integer)`.execute(db);
  return numAffectedRows === 1n;
}
