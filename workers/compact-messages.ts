import { compactMessages } from '#domain/messages/compact-messages.ts';
import type { JobRun } from './start-worker.ts';

/** Hourly: messages past their retention go by whole partitions, and those of the days to come are made. */
export const compactMessagesJob: JobRun = async ({ database: { sql }, clock, config, turn }) => {
  const { rows, sizeBytes } = await compactMessages({
    sql,
    clock,
    confirm: (tx) => turn.confirm(tx),
    messageTtlDays: config.MESSAGE_TTL_DAYS,
  });
  return { removed: rows, removedSizeBytes: sizeBytes };
};
