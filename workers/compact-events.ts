import { compactChatRequests } from '#domain/chat-requests/compact-chat-requests.ts';
import { compactEvents } from '#domain/events/compact-events.ts';
import { compactMessages } from '#domain/messages/compact-messages.ts';
import { compactWelcomes } from '#domain/welcomes/compact-welcomes.ts';
import { compactRemovalCounts } from '#domain/membership/compact-removal-counts.ts';
import { compactReports } from '#domain/reports/compact-reports.ts';
import { compactWarnings } from '#domain/warnings/compact-warnings.ts';
import type { JobRun } from './start-worker.ts';

/** Hourly: what is past its retention goes; messages and events by whole partitions. */
export const compactEventsJob: JobRun = async ({ database: { sql, db }, clock, config }) => {
  const messages = await compactMessages({ sql, clock, messageTtlDays: config.MESSAGE_TTL_DAYS });
  const events = await compactEvents({ sql, clock, eventTtlDays: config.EVENT_STREAM_TTL_DAYS });
  const welcomes = await compactWelcomes({ db, welcomeTtlDays: config.WELCOME_TTL_DAYS });
  const ttlDays = config.MESSAGE_TTL_DAYS;
  const reports = await compactReports({ db, ttlDays });
  const counts = await compactRemovalCounts({ db, ttlDays });
  const warnings = await compactWarnings({ db });
  const chatRequests = await compactChatRequests({ db });
  const all = [chatRequests, messages, events, welcomes, reports, counts, warnings];
  return { removed: all.reduce((sum, { removed }) => sum + removed, 0) };
};
