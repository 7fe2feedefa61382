import type { Clock } from '#platform/clock.ts';
import type { Sql } from '#storage/database.ts';
import { createPartitionsAhead, dropExpiredPartitions } from '#storage/partitions.ts';

/**
 * Drops the partitions of expired messages and makes those of the days to come. Numbers go on afterwards, because `seq` comes
 * from the conversation's counter. Safe to run twice and on several workers at once.
 * @returns how many partitions were removed.
 */
export async function compactMessages(deps: {
  sql: Sql;
  clock: Clock;
  messageTtlDays: number;
}): Promise<{ removed: number }> {
  await createPartitionsAhead(deps.sql, 'messages', deps.messageTtlDays);
  return { removed: await dropExpiredPartitions(deps, 'messages', deps.messageTtlDays) };
}
