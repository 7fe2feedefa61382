import type { DropDeps, DroppedPartitions } from '#storage/expiry/partitions.ts';
import { createPartitionsAhead, dropExpiredPartitions } from '#storage/expiry/partitions.ts';

/**
 * Drops the partitions of expired messages and makes those of the days to come. Numbers go on afterwards, because `seq` comes
 * from the conversation's counter. Safe to run twice and on several workers at once.
 */
export async function compactMessages(deps: DropDeps & { messageTtlDays: number }): Promise<DroppedPartitions> {
  await createPartitionsAhead(deps.sql, 'messages', deps.messageTtlDays);
  return dropExpiredPartitions(deps, 'messages', deps.messageTtlDays);
}
