import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { welcomeRecipient } from './deliver-welcome.ts';
import { selectOfRecipient } from './store.ts';
import type { WelcomeRow } from './store.ts';

/**
 * Lists the caller's Welcomes in these conversations, newest first. Consumed Welcomes are included until their
 * retention time ends.
 */
export async function listWelcomes(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  groupIds: readonly Buffer[],
): Promise<WelcomeRow[]> {
  const recipients = groupIds.map((groupId) => welcomeRecipient(deps.privacy, groupId, caller.did));
  return selectOfRecipient(deps.db, { groupIds, recipients });
}
