import type { Db } from '#storage/connection/database.ts';
import { defaultPolicy } from './policy.ts';
import type { Policy } from './policy.ts';
import { selectPolicy } from './store.ts';

/** The conversation's policy. Exact when `db` is a transaction that holds the conversation's lock: a change of it does, too. */
export async function loadPolicy(db: Db, groupId: Buffer): Promise<Policy> {
  return (await selectPolicy(db, groupId)) ?? defaultPolicy;
}
