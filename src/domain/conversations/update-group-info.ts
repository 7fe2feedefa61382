import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/database.ts';
import { parseConversationId } from './conversation.ts';
import { checkGroupInfo, storeGroupInfo } from './group-info.ts';
import { lockConversation } from './lock-conversation.ts';

/**
 * Stores a GroupInfo of the current epoch. The conversation's lock keeps a commit from passing between check and write.
 * @throws AppError ConvoNotFound, NotMember, InvalidGroupInfo, EpochMismatch when the epoch is not the current one.
 */
export async function updateGroupInfo(
  deps: { db: Db; privacy: Privacy; timeBucketSeconds: number },
  caller: Caller,
  input: { conversationId: string; groupInfo: Buffer; epoch: number },
): Promise<void> {
  const groupId = parseConversationId(input.conversationId);
  await deps.db.transaction().execute(async (tx) => {
    const { locked } = await lockConversation(deps, tx, caller, groupId);
    checkGroupInfo(input.groupInfo, { groupId, epoch: input.epoch });
    if (input.epoch !== locked.epoch) throw domainError('EpochMismatch', { currentEpoch: locked.epoch });
    await storeGroupInfo(deps, tx, { groupId, epoch: input.epoch, bytes: input.groupInfo });
  });
}
