import type { Sql } from './database.ts';

/** How many connections of a pool are in which state, according to Postgres. */
export interface PoolUse {
  readonly open: number;
  readonly busy: number;
  /** Connections that wait for a lock. */
  readonly waiting: number;
}

/** Counts the connections of every process with the application name `applicationName` to this database. */
export async function readPoolUse(sql: Sql, applicationName: string): Promise<PoolUse> {
  const rows = await sql<PoolUse[]>`
    SELECT count(*)::integer AS open,
           (count(*) FILTER (WHERE state <> 'idle'))::integer AS busy,
           (count(*) FILTER (WHERE wait_event_type = 'Lock'))::integer AS waiting
    FROM pg_stat_activity WHERE application_name = ${applicationName} AND datname = current_database()`;
  return rows[0] ?? { open: 0, busy: 0, waiting: 0 };
}
