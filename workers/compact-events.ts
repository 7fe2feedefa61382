import { compactEvents } from '#domain/events/compact-events.ts';
import { compactMessages } from '#domain/messages/compact-messages.ts';
import type { JobRun } from './start-worker.ts';

/** Hourly: what is past its retention goes, by whole partitions. */
export const compactEventsJob: JobRun = async ({ database: { sql }, clock, config }) => {
  const messages = await compactMessages({ sql, clock, messageTtlDays: config.MESSAGE_TTL_DAYS });
  const events = await compactEvents({ sql, clock, eventTtlDays: config.EVENT_STREAM_TTL_DAYS });
  return { removed: messages.removed + events.removed };
};
