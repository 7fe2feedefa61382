import { sql } from 'kysely';
import type { Db, Tx } from '../connection/database.ts';

/**
 * Tables about people, in which the transaction id and physical position of a row reveal which conversation was written
 * at about the same time. A trigger sets `mixed = false` in written rows, which are then shuffled (migrations/0018).
 */
export const shuffledTables = [
  'accounts',
  'devices',
  'key_packages',
  'chat_requests',
  'chat_request_messages',
  'chat_sender_blocks',
] as const;

export type ShuffledTable = (typeof shuffledTables)[number];

const rowsPerBatchMax = 2_000;
/** The minimum number of rows that a batch rewrites, if the table has as many. */
const rowsPerBatchMin = 256;
/** More than the number of rows on one page, so that every row can be chosen. */
const placesPerPage = 64;

/** Lets the rest of the transaction write `mixed = true`, which a trigger otherwise changes to false. */
export async function beginShuffle(tx: Tx): Promise<void> {
  await sql`SELECT set_config('nightjar.mixing', 'on', true)`.execute(tx);
}

/** Returns whether a row was written after the last shuffle. */
export async function hasUnshuffledRows(db: Db): Promise<boolean> {
  const selects = shuffledTables.map((table) => sql`EXISTS (SELECT 1 FROM ${sql.table(table)} WHERE NOT mixed)`);
  const { rows } = await sql<{ found: boolean }>`SELECT ${sql.join(selects, sql` OR `)} AS found`.execute(db);
  return rows[0]?.found === true;
}

/**
 * Rewrites recently written rows and random other rows in random order, in one transaction whose cost depends only on
 * the number of written rows. Skips rows that another transaction has locked.
 * @returns the number of rows that had been written, and whether this was the last batch.
 */
export async function shuffleRows(db: Db, table: ShuffledTable): Promise<{ written: number; isLast: boolean }> {
  return db.transaction().execute(async (tx) => {
    await beginShuffle(tx);
    // A merge or hash join would write the rows in the order of their present positions.
    await sql`SELECT set_config('enable_mergejoin', 'off', true), set_config('enable_hashjoin', 'off', true)`.execute(
      tx,
    );
    const name = sql.table(table);
    const { rows } = await sql<{ count: number }>`
      SELECT count(*)::integer AS count FROM (SELECT 1 FROM ${name} WHERE NOT mixed LIMIT ${rowsPerBatchMax}) u`.execute(
      tx,
    );
    const written = rows[0]?.count ?? 0;
    if (written === 0) return { written, isLast: true };
    const others = Math.max(0, rowsPerBatchMin - written);
    const { numAffectedRows } = await sql`
      WITH fresh AS MATERIALIZED (
        SELECT ctid AS place FROM ${name} WHERE NOT mixed LIMIT ${rowsPerBatchMax} FOR NO KEY UPDATE SKIP LOCKED
      ), others AS MATERIALIZED (
        SELECT ctid AS place FROM ${name} WHERE mixed AND ctid = ANY (ARRAY (
          SELECT format('(%s,%s)', floor(random() * pages), 1 + floor(random() * ${placesPerPage}))::tid
          FROM (SELECT pg_relation_size(${table}) / current_setting('block_size')::integer AS pages) p,
               generate_series(1, ${others * placesPerPage}::integer)
          WHERE pages > 0))
        ORDER BY random() LIMIT ${others} FOR NO KEY UPDATE SKIP LOCKED
      ), chosen AS MATERIALIZED (
        SELECT place FROM (SELECT place FROM fresh UNION ALL SELECT place FROM others) c ORDER BY random()
      )
      UPDATE ${name} t SET mixed = true FROM chosen WHERE t.ctid = chosen.place`.execute(tx);
    return { written, isLast: written < rowsPerBatchMax || numAffectedRows === 0n };
  });
}

/**
 * Removes old row versions, which contain earlier transaction ids and positions. Skips tables that are being vacuumed.
 */
export async function vacuumShuffledTables(db: Db): Promise<void> {
  const tables = [...shuffledTables, 'used_key_packages', 'conversation_list_changes'];
  await sql`VACUUM (SKIP_LOCKED, TRUNCATE false) ${sql.join(tables.map((table) => sql.table(table)))}`.execute(db);
}
