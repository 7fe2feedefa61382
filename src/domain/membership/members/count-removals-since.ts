import type { Db } from '#storage/connection/database.ts';
import { countRemovals } from '../store.ts';

/** Counts the members who were removed on the day of `since` (UTC) and later. */
export async function countRemovalsSince(deps: { db: Db }, groupId: Buffer, since: Date): Promise<number> {
  return countRemovals(deps.db, groupId, since);
}
