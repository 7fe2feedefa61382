import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import type { Tx } from '#storage/database.ts';
import type { MembershipDeps } from './add-members.ts';
import { judgeCommit, parseMemberCommit } from './accept-commit.ts';
import { roles } from './member.ts';
import type { Membership } from './member.ts';
import { recordChange } from './record-change.ts';
import { removeMember } from './remove-member.ts';
import { countActiveMembers, countOtherAdmins } from './store.ts';

export interface Departure {
  readonly conversationId: string;
  /** Somebody else, for admins; the caller if absent. */
  readonly targetDid: string | undefined;
  readonly commit: Buffer | undefined;
}

/**
 * Takes the caller out of the conversation, or somebody else as `removeMember` does. The only admin cannot leave others
 * behind without one; the last member takes the conversation with them.
 * @returns the epoch after the change.
 * @throws AppError ConvoNotFound, NotMember, LastAdmin, InvalidCommit, EpochMismatch; for others also NotAdmin, TargetNotMember.
 */
export async function leaveConversation(deps: MembershipDeps, caller: Caller, input: Departure): Promise<number> {
  if (input.targetDid !== undefined && input.targetDid !== caller.did) {
    return removeMember(deps, caller, { ...input, targetDid: input.targetDid });
  }
  const groupId = parseConversationId(input.conversationId);
  const epoch = await deps.db.transaction().execute(async (tx) => {
    const { locked, membership } = await lockConversation(deps, tx, caller, groupId);
    const verdict = input.commit && (await judgeCommit(deps, tx, locked, parseMemberCommit(input.commit, groupId)));
    if (verdict?.kind === 'retry') return verdict.epoch;
    await refuseLastAdmin(tx, groupId, membership);
    return recordChange(deps, tx, locked, {
      commit: verdict?.commit,
      joined: [],
      departed: [{ did: caller.did, kind: 'left' }],
    });
  });
  deps.onEvents();
  return epoch;
}

async function refuseLastAdmin(tx: Tx, groupId: Buffer, membership: Membership): Promise<void> {
  if (membership.role !== roles.admin) return;
  const isOnlyAdmin = (await countOtherAdmins(tx, groupId, membership.member, roles.admin)) === 0;
  if (isOnlyAdmin && (await countActiveMembers(tx, groupId)) > 1) throw domainError('LastAdmin');
}
