import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import type { MembershipDeps } from './add-members.ts';
import { judgeCommit, parseMemberCommit } from './accept-commit.ts';
import { memberStates, roles } from './member.ts';
import { recordChange } from './record-change.ts';
import { memberPseudonym } from './require-member.ts';
import { selectMembership } from './store.ts';

export interface MemberToRemove {
  readonly conversationId: string;
  readonly targetDid: string;
  readonly commit: Buffer | undefined;
}

/**
 * Removes a member, with the commit that removes their clients if it is given. Somebody who has left or was removed before is
 * removed already. From here on the person reads nothing later than the event that tells of it.
 * @returns the epoch after the change.
 * @throws AppError ConvoNotFound, NotMember, NotAdmin, CannotRemoveSelf, TargetNotMember, InvalidCommit, EpochMismatch.
 */
export async function removeMember(deps: MembershipDeps, caller: Caller, input: MemberToRemove): Promise<number> {
  const groupId = parseConversationId(input.conversationId);
  const epoch = await deps.db.transaction().execute(async (tx) => {
    const { locked, membership } = await lockConversation(deps, tx, caller, groupId);
    if (input.targetDid === caller.did) throw domainError('CannotRemoveSelf');
    if (membership.role !== roles.admin) throw domainError('NotAdmin');
    const target = await selectMembership(tx, groupId, memberPseudonym(deps.privacy, groupId, input.targetDid));
    if (target === undefined) throw domainError('TargetNotMember');
    const verdict = input.commit && (await judgeCommit(deps, tx, locked, parseMemberCommit(input.commit, groupId)));
    if (verdict?.kind === 'retry') return verdict.epoch;
    const isActive = target.state === memberStates.active;
    if (!isActive && verdict === undefined) return locked.epoch;
    return recordChange(deps, tx, locked, {
      commit: verdict?.commit,
      joined: [],
      departed: isActive ? [{ did: input.targetDid, kind: 'removed' }] : [],
    });
  });
  deps.onEvents();
  return epoch;
}
