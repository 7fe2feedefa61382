import type { Sql } from './database.ts';

/** The number of connections of a pool in each state, as Postgres reports them. */
export interface PoolUse {
  readonly open: number;
  readonly busy: number;
  /** Connections that wait for a lock. */
  readonly waiting: number;
}

/** Counts the connections to this database from all processes with the name `applicationName`. */
export async function readPoolUse(sql: Sql, applicationName: string): Promise<PoolUse> {
  const rows = await sql<PoolUse[]>`
    SELECT count(*)::integer AS open,
           (count(*) FILTER (WHERE state <> 'idle'))::integer AS busy,
           (count(*) FILTER (WHERE wait_event_type = 'Lock'))::integer AS waiting
    FROM pg_stat_activity WHERE application_name = ${applicationName} AND datname = current_database()`;
  return rows[0] ?? { open: 0, busy: 0, waiting: 0 };
}
