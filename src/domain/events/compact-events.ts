import type { DropDeps, DroppedPartitions } from '#storage/expiry/partitions.ts';
import { createPartitionsAhead, dropExpiredPartitions } from '#storage/expiry/partitions.ts';

/**
 * Drops the partitions of expired events and creates those of the next days. Safe to run twice and on several workers
 * at once.
 */
export async function compactEvents(deps: DropDeps & { eventTtlDays: number }): Promise<DroppedPartitions> {
  await createPartitionsAhead(deps.sql, 'events', deps.eventTtlDays);
  return dropExpiredPartitions(deps, 'events', deps.eventTtlDays);
}
