import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { isUuid } from '#platform/ids.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { chatBlockPair, chatPair, chatRecipient, storedRequestId } from './chat-request.ts';
import { openContent } from './sealed-request.ts';
import { blockPending, insertSenderBlock, lockPair, selectRequest } from './store.ts';

interface BlockSenderDeps {
  readonly db: Db;
  readonly privacy: Privacy;
  readonly timeBucketSeconds: number;
}

/**
 * Ends the sender's pending requests to the caller and hides later ones. The responses to the sender stay the same, so
 * that the sender does not notice the block.
 * @returns how many requests were ended.
 * @throws AppError RequestNotFound when `requestId` is not a request of this sender to the caller.
 */
export async function blockChatSender(
  deps: BlockSenderDeps,
  caller: Caller,
  input: { senderDid: string; requestId: string | undefined },
): Promise<number> {
  const { privacy } = deps;
  const people = { recipientDid: caller.did, senderDid: input.senderDid };
  const pair = chatPair(privacy, people);
  const blockPair = chatBlockPair(privacy, people);
  return deps.db.transaction().execute(async (tx) => {
    await lockPair(tx, pair);
    if (input.requestId !== undefined) await requireRequest(deps, tx, people, input.requestId);
    await insertSenderBlock(tx, {
      pair: blockPair,
      keyId: privacy.keyId,
      sealedPeople: privacy.sealText('chat-block-people', [blockPair], JSON.stringify(people)),
    });
    return blockPending(tx, pair, deps.timeBucketSeconds);
  });
}

async function requireRequest(
  { privacy }: BlockSenderDeps,
  tx: Tx,
  people: { recipientDid: string; senderDid: string },
  requestId: string,
): Promise<void> {
  const recipient = chatRecipient(privacy, people.recipientDid);
  const storedId = storedRequestId(privacy, requestId);
  const row = isUuid(requestId) ? await selectRequest(tx, recipient, storedId) : undefined;
  const senderDid = row === undefined ? undefined : openContent(privacy, storedId, row.sealedRequest).senderDid;
  if (senderDid !== people.senderDid) throw domainError('RequestNotFound');
}
