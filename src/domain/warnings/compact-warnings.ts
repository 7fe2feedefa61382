import type { Db } from '#storage/database.ts';
import { deleteExpired } from './store.ts';

/** Removes expired warnings. Safe to run twice and on several workers at once. */
export async function compactWarnings(deps: { db: Db }): Promise<{ removed: number }> {
  return { removed: await deleteExpired(deps.db) };
}
