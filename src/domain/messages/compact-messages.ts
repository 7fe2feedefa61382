import type { DropDeps, DroppedPartitions } from '#storage/expiry/partitions.ts';
import { createPartitionsAhead, dropExpiredPartitions } from '#storage/expiry/partitions.ts';

/**
 * Drops the partitions of expired messages and creates the partitions of the next days. Several workers may run it at
 * once, and running it twice does no harm.
 */
export async function compactMessages(deps: DropDeps & { messageTtlDays: number }): Promise<DroppedPartitions> {
  await createPartitionsAhead(deps.sql, 'messages', deps.messageTtlDays);
  // The numbers of dropped messages are never reused, because `seq` comes from the conversation's counter.
  return dropExpiredPartitions(deps, 'messages', deps.messageTtlDays);
}
