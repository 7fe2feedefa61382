import { compactEvents } from '#domain/events/compact-events.ts';
import type { JobRun } from './start-worker.ts';

/** Hourly: events past their retention go by whole partitions, and those of the days to come are made. */
export const compactEventsJob: JobRun = async ({ database: { sql }, clock, config, turn }) => {
  const { rows, sizeBytes } = await compactEvents({
    sql,
    clock,
    confirm: (tx) => turn.confirm(tx),
    eventTtlDays: config.EVENT_STREAM_TTL_DAYS,
  });
  return { removed: rows, removedSizeBytes: sizeBytes };
};
