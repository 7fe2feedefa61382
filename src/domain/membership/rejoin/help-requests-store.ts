import { sql } from 'kysely';
import { bucketedNow } from '#storage/sql/bucketed-now.ts';
import type { Tx } from '#storage/connection/database.ts';

/** What a person may ask the other members for. */
export type HelpRequest = 'readdition' | 'groupInfoRefresh';

const askedColumns = { readdition: 'readdition_asked_at', groupInfoRefresh: 'group_info_asked_at' } as const;
const askAgainMinutes = 10;

/** Notes that the person asks. @returns false when they did so in the last ten minutes. */
export async function updateAsked(
  tx: Tx,
  groupId: Buffer,
  asking: { member: Buffer; request: HelpRequest; bucketSeconds: number },
): Promise<boolean> {
  const column = askedColumns[asking.request];
  // The stored time is rounded down, so it counts as up to a bucket later.
  const latest = sql<Date>`now() - make_interval(mins => ${askAgainMinutes}::integer, secs => ${asking.bucketSeconds}::integer)`;
  const result = await tx
    .updateTable('members')
    .set({ [column]: bucketedNow(asking.bucketSeconds) })
    .where('group_id', '=', groupId)
    .where('member', '=', asking.member)
    .where((eb) => eb.or([eb(column, 'is', null), eb(column, '<=', latest)]))
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}
