import type { Db } from '#storage/database.ts';
import { deleteRemovalCounts } from './store.ts';

/** Forgets counts of days that are past the retention. Safe to run twice and on several workers at once. */
export async function compactRemovalCounts(deps: { db: Db; ttlDays: number }): Promise<{ removed: number }> {
  return { removed: await deleteRemovalCounts(deps.db, deps.ttlDays) };
}
