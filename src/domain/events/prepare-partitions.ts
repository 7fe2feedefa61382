import type { Sql } from '#storage/connection/database.ts';
import { createPartitionsAhead } from '#storage/expiry/partitions.ts';

/** Creates the partitions for messages and events of the next days. @returns the number of created partitions. */
export async function preparePartitions(
  deps: { sql: Sql },
  retention: { messageTtlDays: number; eventTtlDays: number },
): Promise<number> {
  const messages = await createPartitionsAhead(deps.sql, 'messages', retention.messageTtlDays);
  const events = await createPartitionsAhead(deps.sql, 'events', retention.eventTtlDays);
  return messages + events;
}
