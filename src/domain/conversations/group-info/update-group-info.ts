import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { refusalFor } from '#domain/refusal-reasons.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { parseConversationId } from '../conversation.ts';
import { checkGroupInfo, storeGroupInfo } from './group-info.ts';
import { areSameLeaves } from './leaves.ts';
import { loadLeaves } from './load-leaves.ts';
import { lockConversation } from '../lock-conversation.ts';
import { readCipherSuite } from '../read-cipher-suite.ts';

/**
 * Stores a GroupInfo of the current epoch. The epochs are compared under the conversation's lock, so that no commit can
 * end the epoch before the GroupInfo is written.
 * @throws AppError ConvoNotFound, NotMember, InvalidGroupInfo, EpochMismatch when the epoch is not the current one.
 */
export async function updateGroupInfo(
  deps: { db: Db; privacy: Privacy; timeBucketSeconds: number },
  caller: Caller,
  input: { conversationId: string; groupInfo: Buffer; epoch: number },
): Promise<void> {
  const groupId = parseConversationId(input.conversationId);
  await requireMember(deps, caller, groupId);
  const cipherSuite = await readCipherSuite(deps, groupId);
  const checked = await checkGroupInfo(deps, input.groupInfo, { groupId, cipherSuite, epoch: input.epoch });
  // A GroupInfo with wrong leaves would hide whose leaves the next commit removes.
  const leaves = await loadLeaves(deps, groupId, input.epoch);
  if (leaves !== undefined && !areSameLeaves(checked.leaves, leaves)) {
    throw refusalFor('InvalidGroupInfo', 'otherLeaves');
  }
  await deps.db.transaction().execute(async (tx) => {
    const { locked } = await lockConversation(deps, tx, caller, groupId);
    if (input.epoch !== locked.epoch) throw domainError('EpochMismatch', { currentEpoch: locked.epoch });
    await storeGroupInfo(deps, tx, checked, input.epoch);
  });
}
