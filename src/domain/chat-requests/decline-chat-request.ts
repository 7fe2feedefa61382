import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { isUuid } from '#platform/ids.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { chatRecipient, chatRequestStates, storedRequestId } from './chat-request.ts';
import { recordDecision, deleteMessages, lockRequest } from './store.ts';

/**
 * Declines a request and deletes its messages without notifying the sender. A request that was already declined or
 * blocked stays unchanged.
 * @throws AppError RequestNotFound, also for an accepted request.
 */
export async function declineChatRequest(
  deps: { readonly db: Db; readonly privacy: Privacy; readonly timeBucketSeconds: number },
  caller: Caller,
  requestId: string,
): Promise<void> {
  if (!isUuid(requestId)) throw domainError('RequestNotFound');
  const storedId = storedRequestId(deps.privacy, requestId);
  await deps.db.transaction().execute(async (tx) => {
    const row = await lockRequest(tx, chatRecipient(deps.privacy, caller.did), storedId);
    if (row === undefined || row.status === 'accepted') throw domainError('RequestNotFound');
    if (row.decidedAt !== null) return;
    await recordDecision(tx, storedId, {
      state: chatRequestStates.declined,
      bucketSeconds: deps.timeBucketSeconds,
    });
    await deleteMessages(tx, storedId);
  });
}
