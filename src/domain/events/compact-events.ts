import type { DropDeps, DroppedPartitions } from '#storage/expiry/partitions.ts';
import { createPartitionsAhead, dropExpiredPartitions } from '#storage/expiry/partitions.ts';

/**
 * Drops the partitions of expired events and creates the partitions of the next days. Several workers may run it at
 * once, and running it twice does no harm.
 */
export async function compactEvents(deps: DropDeps & { eventTtlDays: number }): Promise<DroppedPartitions> {
  await createPartitionsAhead(deps.sql, 'events', deps.eventTtlDays);
  return dropExpiredPartitions(deps, 'events', deps.eventTtlDays);
}
