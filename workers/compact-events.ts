import { compactEvents } from '#domain/events/compact-events.ts';
import type { JobRun } from './start-worker.ts';

/**
 * Drops partitions of events older than EVENT_STREAM_TTL_DAYS, and creates partitions for the coming days, once an
 * hour.
 */
export const compactEventsJob: JobRun = async ({ database: { sql }, clock, config, lease }) => {
  const { rows, sizeBytes } = await compactEvents({
    sql,
    clock,
    confirm: (tx) => lease.confirm(tx),
    eventTtlDays: config.EVENT_STREAM_TTL_DAYS,
  });
  return { removed: rows, removedSizeBytes: sizeBytes };
};
