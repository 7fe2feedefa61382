import { sql } from 'kysely';
import { bucketedNow } from '#storage/sql/bucketed-now.ts';
import type { Tx } from '#storage/connection/database.ts';

/** A request with which a person asks the other members for help to rejoin. */
export type HelpRequest = 'readdition' | 'groupInfoRefresh';

const requestedAtColumns = { readdition: 'readdition_asked_at', groupInfoRefresh: 'group_info_asked_at' } as const;
const minIntervalMinutes = 10;

/**
 * Stores the time of the person's request.
 * @returns false, and stores nothing, if the last request was made less than ten minutes ago.
 */
export async function recordHelpRequest(
  tx: Tx,
  groupId: Buffer,
  entry: { member: Buffer; request: HelpRequest; bucketSeconds: number },
): Promise<boolean> {
  const column = requestedAtColumns[entry.request];
  // The stored time is rounded down by up to one bucket, so one bucket is added to the interval.
  const latest = sql<Date>`now() - make_interval(mins => ${minIntervalMinutes}::integer, secs => ${entry.bucketSeconds}::integer)`;
  const result = await tx
    .updateTable('members')
    .set({ [column]: bucketedNow(entry.bucketSeconds) })
    .where('group_id', '=', groupId)
    .where('member', '=', entry.member)
    .where((eb) => eb.or([eb(column, 'is', null), eb(column, '<=', latest)]))
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}
