import type { Db } from '#storage/connection/database.ts';
import { countRemovals } from '../store.ts';

/** Counts the removals of members from the start of the UTC day of `since`. */
export async function countRemovalsSince(deps: { db: Db }, groupId: Buffer, since: Date): Promise<number> {
  return countRemovals(deps.db, groupId, since);
}
