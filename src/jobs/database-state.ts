import type { Clock } from '#platform/clock.ts';
import type { Sql } from '#storage/connection/database.ts';

/**
 * Whether a job may run. `standby`: the database takes no writes. `clock`: its clock has jumped, so nobody knows what has
 * expired.
 */
export type DatabaseState =
  | { readonly nowMs: number }
  | { readonly unfit: 'standby' | 'clock'; readonly nowMs: number };

/** By more than this two clocks that both go right never differ. */
const clockToleranceMs = 3_600_000;

/**
 * Watches the database's clock, by which everything is deleted. It is taken to have jumped when it disagrees with this machine's
 * clock by more than an hour, when it stands before the last step of any job, or when since the first look it went by more than an
 * hour faster or slower than this process's monotonic clock: the last sees a jump of a machine that runs both, as long as the
 * worker was running. It trusts the clock again as soon as the three agree.
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
    const fromOwnMs = Math.abs(nowMs - clock.nowMs());
    const fromFirstMs = Math.abs(offsetMs - (firstOffsetMs ?? offsetMs));
    const beforeBeatMs = (beatMs ?? nowMs) - nowMs;
    if (Math.max(fromOwnMs, fromFirstMs, beforeBeatMs) > clockToleranceMs) return { unfit: 'clock', nowMs };
    firstOffsetMs ??= offsetMs;
    return { nowMs };
  };
}
