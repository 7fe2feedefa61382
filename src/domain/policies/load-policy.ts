import type { Db } from '#storage/connection/database.ts';
import { defaultPolicy } from './policy.ts';
import type { Policy } from './policy.ts';
import { selectPolicy } from './store.ts';

/**
 * Loads the conversation's policy. The result can become outdated unless `db` is a transaction that holds the
 * conversation's lock.
 */
export async function loadPolicy(db: Db, groupId: Buffer): Promise<Policy> {
  return (await selectPolicy(db, groupId)) ?? defaultPolicy;
}
