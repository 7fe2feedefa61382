import { compactEvents } from '#domain/events/compact-events.ts';
import type { JobRun } from './start-worker.ts';

/** Hourly: drops whole partitions of events past their retention, and creates those of the coming days. */
export const compactEventsJob: JobRun = async ({ database: { sql }, clock, config, lease }) => {
  const { rows, sizeBytes } = await compactEvents({
    sql,
    clock,
    confirm: (tx) => lease.confirm(tx),
    eventTtlDays: config.EVENT_STREAM_TTL_DAYS,
  });
  return { removed: rows, removedSizeBytes: sizeBytes };
};
