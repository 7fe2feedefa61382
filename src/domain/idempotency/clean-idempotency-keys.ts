import type { Sql } from '#storage/database.ts';
import { deleteExpired } from './store.ts';

/** Deletes what nobody can be answered with any more, in short statements. */
export async function cleanIdempotencyKeys(deps: { readonly sql: Sql }): Promise<void> {
  while ((await deleteExpired(deps.sql)) === 'more');
}
