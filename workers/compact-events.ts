import { compactEvents } from '#domain/events/compact-events.ts';
import { compactMessages } from '#domain/messages/compact-messages.ts';
import { compactWelcomes } from '#domain/welcomes/compact-welcomes.ts';
import type { JobRun } from './start-worker.ts';

/** Hourly: what is past its retention goes; messages and events by whole partitions. */
export const compactEventsJob: JobRun = async ({ database: { sql, db }, clock, config }) => {
  const messages = await compactMessages({ sql, clock, messageTtlDays: config.MESSAGE_TTL_DAYS });
  const events = await compactEvents({ sql, clock, eventTtlDays: config.EVENT_STREAM_TTL_DAYS });
  const welcomes = await compactWelcomes({ db, welcomeTtlDays: config.WELCOME_TTL_DAYS });
  return { removed: messages.removed + events.removed + welcomes.removed };
};
