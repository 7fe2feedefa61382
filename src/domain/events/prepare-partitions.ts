import type { Sql } from '#storage/connection/database.ts';
import { createPartitionsAhead } from '#storage/expiry/partitions.ts';

/** Makes the partitions that messages and events of the days to come need. @returns how many were made. */
export async function preparePartitions(
  deps: { sql: Sql },
  retention: { messageTtlDays: number; eventTtlDays: number },
): Promise<number> {
  const messages = await createPartitionsAhead(deps.sql, 'messages', retention.messageTtlDays);
  const events = await createPartitionsAhead(deps.sql, 'events', retention.eventTtlDays);
  return messages + events;
}
