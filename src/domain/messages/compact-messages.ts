import type { DropDeps, DroppedPartitions } from '#storage/expiry/partitions.ts';
import { createPartitionsAhead, dropExpiredPartitions } from '#storage/expiry/partitions.ts';

/**
 * Drops the partitions of expired messages and creates the partitions of the next days. `seq` comes from the
 * conversation's counter, so numbers are never reused. Safe to run twice and on several workers at once.
 */
export async function compactMessages(deps: DropDeps & { messageTtlDays: number }): Promise<DroppedPartitions> {
  await createPartitionsAhead(deps.sql, 'messages', deps.messageTtlDays);
  return dropExpiredPartitions(deps, 'messages', deps.messageTtlDays);
}
