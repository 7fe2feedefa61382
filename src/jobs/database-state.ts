import type { Clock } from '#platform/clock.ts';
import type { Sql } from '#storage/connection/database.ts';

/**
 * Whether jobs may run. No job runs while the database is read-only (`standby`), or while its clock cannot be trusted
 * to decide what has expired (`clock`).
 */
export type DatabaseState =
  | { readonly nowMs: number }
  | { readonly unfit: 'standby' | 'clock'; readonly nowMs: number };

/** One hour in milliseconds. If two clocks differ by more, at least one of them is wrong. */
const clockToleranceMs = 3_600_000;

/**
 * Returns a function that checks the database's clock, which decides what is deleted. The clock is wrong while it
 * differs from this machine's clock by more than an hour, has drifted from this process's monotonic clock by more than
 * an hour, or is more than an hour behind the last heartbeat of a job.
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
    // If the database and the worker run on one machine, only the monotonic clock shows that the clock has jumped.
    const driftMs = Math.abs(offsetMs - (firstOffsetMs ?? offsetMs));
    // A clock that was set back is behind the heartbeats that the database stored earlier.
    const beforeHeartbeatMs = (beatMs ?? nowMs) - nowMs;
    if (Math.max(localDifferenceMs, driftMs, beforeHeartbeatMs) > clockToleranceMs) return { unfit: 'clock', nowMs };
    firstOffsetMs ??= offsetMs;
    return { nowMs };
  };
}
