import type { Sql } from '#storage/connection/database.ts';

/**
 * The oldest open transaction that has taken a log position. Later events are not delivered before this transaction
 * ends.
 */
export interface HorizonLag {
  /** The age of the transaction in milliseconds; 0 if there is no open transaction with a log position. */
  readonly lagMs: number;
  /** The process id of the transaction's Postgres connection; 0 for a prepared transaction, or if there is none. */
  readonly pid: number;
}

/**
 * Reads for how long the oldest open transaction with a log position has delayed later events. Transactions without a
 * log position delay no events.
 */
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
