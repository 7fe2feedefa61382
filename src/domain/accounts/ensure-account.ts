import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { newAccount } from './account.ts';
import { insertMissingAccounts } from './store.ts';

/**
 * Creates the person's account row if it is missing. Call it when the person publishes keys, not when they join a
 * conversation, because rows are stored in the order of creation and would show who is in which conversation.
 */
export async function ensureAccount(deps: { db: Db; privacy: Privacy }, did: string): Promise<void> {
  await insertMissingAccounts(deps.db, deps.privacy.keyId, [newAccount(deps.privacy, did)]);
}
