import type { Clock } from '#platform/clock.ts';
import type { Sql } from '#storage/connection/database.ts';

/**
 * Whether a job may run. `standby`: the database is read-only. `clock`: the database's clock has jumped, so expiry
 * times cannot be trusted.
 */
export type DatabaseState =
  | { readonly nowMs: number }
  | { readonly unfit: 'standby' | 'clock'; readonly nowMs: number };

/** Two correct clocks never differ by more than this. */
const clockToleranceMs = 3_600_000;

/**
 * Watches the database's clock, which decides what is deleted. The clock counts as wrong when it differs from this
 * machine's clock by more than an hour, when it is more than an hour before the last heartbeat of any job, or when its
 * drift from this process's monotonic clock since the first check exceeds an hour. The last check detects a jump of a
 * machine that runs both, as long as the worker was running. The clock is trusted again as soon as all three agree.
 */
export function createDatabaseWatch(deps: { readonly sql: Sql; readonly clock: Clock }): () => Promise<DatabaseState> {
  const { sql, clock } = deps;
  let firstOffsetMs: number | undefined;
  return async () => {
    const [row] = await sql<{ isStandby: boolean; nowMs: number; beatMs: number | null }[]>`
      SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS "isStandby",
             (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS "nowMs",
             (SELECT (extract(epoch FROM max(beat_at)) * 1000)::bigint FROM job_turns WHERE beat_at > '-infinity') AS "beatMs"`;
    const { isStandby = true, nowMs = clock.nowMs(), beatMs = null } = row ?? {};
    if (isStandby) return { unfit: 'standby', nowMs };
    const offsetMs = nowMs - clock.monotonicMs();
    const localDifferenceMs = Math.abs(nowMs - clock.nowMs());
    const driftMs = Math.abs(offsetMs - (firstOffsetMs ?? offsetMs));
    const beforeHeartbeatMs = (beatMs ?? nowMs) - nowMs;
    if (Math.max(localDifferenceMs, driftMs, beforeHeartbeatMs) > clockToleranceMs) return { unfit: 'clock', nowMs };
    firstOffsetMs ??= offsetMs;
    return { nowMs };
  };
}
