import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { chatRecipient } from './chat-request.ts';
import { countPending } from './store.ts';

/**
 * Counts the pending requests to the caller, and returns the time of the newest one, rounded down to the time bucket.
 */
export function countChatRequests(
  deps: { readonly db: Db; readonly privacy: Privacy },
  caller: Caller,
): Promise<{ count: number; lastCreatedAt: Date | undefined }> {
  return countPending(deps.db, chatRecipient(deps.privacy, caller.did));
}
