import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { chatRecipient, chatRequestStates, isRequestId, storedRequestId } from './chat-request.ts';
import { answerRequest, deleteMessages, lockRequest } from './store.ts';

/**
 * Ends a request and removes its messages. The sender is not told. Declining again, or what was blocked or has expired, has no
 * further effect.
 * @throws AppError RequestNotFound, also for a request that was accepted.
 */
export async function declineChatRequest(
  deps: { readonly db: Db; readonly privacy: Privacy; readonly timeBucketSeconds: number },
  caller: Caller,
  requestId: string,
): Promise<void> {
  if (!isRequestId(requestId)) throw domainError('RequestNotFound');
  const name = storedRequestId(deps.privacy, requestId);
  await deps.db.transaction().execute(async (tx) => {
    const row = await lockRequest(tx, chatRecipient(deps.privacy, caller.did), name);
    if (row === undefined || row.status === 'accepted') throw domainError('RequestNotFound');
    if (row.answeredAt !== null) return;
    await answerRequest(tx, name, {
      state: chatRequestStates.declined,
      bucketSeconds: deps.timeBucketSeconds,
    });
    await deleteMessages(tx, name);
  });
}
