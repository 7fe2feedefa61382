import type { Sql } from '#storage/database.ts';

/** How long the oldest open transaction that holds an id, in any database of the cluster, has kept events back. */
export async function readHorizonLagMs(deps: { sql: Sql }): Promise<number> {
  const rows = await deps.sql<{ lagMs: number }[]>`
    SELECT coalesce(extract(epoch FROM clock_timestamp() - min(xact_start)) * 1000, 0)::float8 AS "lagMs"
    FROM pg_stat_activity WHERE backend_xid IS NOT NULL`;
  return rows[0]?.lagMs ?? 0;
}
