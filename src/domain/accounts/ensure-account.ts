import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { newAccount } from './account.ts';
import { insertMissingAccounts } from './store.ts';

/**
 * Makes the person's account row if there is none. Called when they publish keys, which is before anybody can add them:
 * rows made with the first conversation would lie in the order of the conversations, and so tell who is in which.
 */
export async function ensureAccount(deps: { db: Db; privacy: Privacy }, did: string): Promise<void> {
  await insertMissingAccounts(deps.db, deps.privacy.keyId, [newAccount(deps.privacy, did)]);
}
