import { compactMessages } from '#domain/messages/compact-messages.ts';
import type { JobRun } from './start-worker.ts';

/** Hourly: drops whole partitions of messages past their retention, and creates those of the coming days. */
export const compactMessagesJob: JobRun = async ({ database: { sql }, clock, config, lease }) => {
  const { rows, sizeBytes } = await compactMessages({
    sql,
    clock,
    confirm: (tx) => lease.confirm(tx),
    messageTtlDays: config.MESSAGE_TTL_DAYS,
  });
  return { removed: rows, removedSizeBytes: sizeBytes };
};
