import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { newAccount } from './account.ts';
import { insertMissingAccounts } from './store.ts';

/**
 * Creates the person's account row if it is missing. Called when they publish keys, which comes before any member can
 * add them: rows created with the first conversation would be stored in the order of conversations, and so show who is
 * in which.
 */
export async function ensureAccount(deps: { db: Db; privacy: Privacy }, did: string): Promise<void> {
  await insertMissingAccounts(deps.db, deps.privacy.keyId, [newAccount(deps.privacy, did)]);
}
