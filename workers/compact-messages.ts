import { compactMessages } from '#domain/messages/compact-messages.ts';
import type { JobRun } from './start-worker.ts';

/**
 * Drops partitions of messages older than MESSAGE_TTL_DAYS, and creates partitions for the coming days, once an hour.
 */
export const compactMessagesJob: JobRun = async ({ database: { sql }, clock, config, lease }) => {
  const { rows, sizeBytes } = await compactMessages({
    sql,
    clock,
    confirm: (tx) => lease.confirm(tx),
    messageTtlDays: config.MESSAGE_TTL_DAYS,
  });
  return { removed: rows, removedSizeBytes: sizeBytes };
};
