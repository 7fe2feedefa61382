import type { Clock } from '#platform/clock.ts';
import type { Sql } from '#storage/database.ts';
import { createPartitionsAhead, dropExpiredPartitions } from '#storage/partitions.ts';

/**
 * Drops the partitions of expired events and makes those of the days to come. Safe to run twice and on several workers.
 * @returns how many partitions were removed.
 */
export async function compactEvents(deps: {
  sql: Sql;
  clock: Clock;
  eventTtlDays: number;
}): Promise<{ removed: number }> {
  await createPartitionsAhead(deps.sql, 'events', deps.eventTtlDays);
  return { removed: await dropExpiredPartitions(deps, 'events', deps.eventTtlDays) };
}
