import type { Sql } from '#storage/connection/database.ts';

/** The writer that has held back events for longest. */
export interface HorizonLag {
  readonly lagMs: number;
  /** Of its connection to Postgres; 0 for none, and for a prepared transaction. */
  readonly pid: number;
}

/** How long the oldest open transaction that has taken a position has kept later events back. Other transactions keep nothing back. */
export async function readHorizonLag(deps: { sql: Sql }): Promise<HorizonLag> {
  const rows = await deps.sql<HorizonLag[]>`
    SELECT extract(epoch FROM clock_timestamp() - x.since)::float8 * 1000 AS "lagMs", x.pid
    FROM (
      SELECT coalesce(w.pid, 0) AS pid,
             coalesce(a.xact_start, (SELECT min(p.prepared) FROM pg_prepared_xacts p WHERE p.database = current_database())) AS since
      FROM log_writers() w LEFT JOIN pg_stat_activity a ON a.pid = w.pid
    ) x
    WHERE x.since IS NOT NULL ORDER BY x.since LIMIT 1`;
  return rows[0] ?? { lagMs: 0, pid: 0 };
}
