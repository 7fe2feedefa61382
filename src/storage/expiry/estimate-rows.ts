import type { Sql } from '../connection/database.ts';

/**
 * Returns the last estimate of Postgres for the number of rows of each table. Tables that were never analyzed are
 * missing.
 */
export async function estimateRows(sql: Sql): Promise<ReadonlyMap<string, number>> {
  const rows = await sql<{ name: string; rows: number }[]>`
    SELECT coalesce(parent.relname, c.relname) AS name, sum(greatest(c.reltuples, 0))::bigint AS rows
    FROM pg_class c
    LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class parent ON parent.oid = i.inhparent
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
    GROUP BY 1 HAVING bool_or(c.reltuples >= 0)`;
  return new Map(rows.map((row) => [row.name, row.rows]));
}
