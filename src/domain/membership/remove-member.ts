import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import type { PreparedGroupInfo } from '#domain/conversations/group-info/group-info.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { withIdempotency } from '#domain/idempotency/with-idempotency.ts';
import { loadPolicy } from '#domain/policies/load-policy.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import type { MembershipDeps } from './add-members.ts';
import { acceptMemberCommit } from './commits/accept-member-commit.ts';
import { memberStates, roles } from './member.ts';
import type { Membership } from './member.ts';
import { prepareCommit } from './commits/prepare-commit.ts';
import type { PreparedCommit } from './commits/prepare-commit.ts';
import { recordChange } from './commits/record-change.ts';
import { memberPseudonym } from './members/member-pseudonym.ts';
import { attachmentsOf, prepareMembersGroupInfo, storeAttachments } from './commits/store-attachments.ts';
import { selectMembership, updateLeftToRemoved, updateRemovalCommitted } from './store.ts';

export interface MemberToRemove {
  readonly conversationId: string;
  readonly targetDid: string;
  readonly commit: Buffer | undefined;
  /** The GroupInfo of the epoch after the commit. */
  readonly groupInfo?: Buffer | undefined;
  readonly idempotencyKey?: string | undefined;
}

/**
 * Removes a member or a person who left, and stores the commit that removes their leaves if the call has one. While
 * leaves of the person are in the MLS group every member may send the commit, and a repeated call without a commit
 * changes nothing.
 * @returns the epoch after the change.
 * @throws AppError ConvoNotFound, NotMember, NotAdmin, CannotRemoveSelf, TargetNotMember, InvalidCommit,
 *   InvalidGroupInfo, EpochMismatch, PolicyViolation, IdempotencyKeyReused.
 */
export async function removeMember(deps: MembershipDeps, caller: Caller, input: MemberToRemove): Promise<number> {
  const groupId = parseConversationId(input.conversationId);
  const prepared = await prepareCommit(deps, caller, groupId, input.commit);
  const groupInfo = await prepareMembersGroupInfo(deps, caller, groupId, input.groupInfo);
  const call = { caller, method: 'removeMember', key: input.idempotencyKey, input } as const;
  const epoch = await deps.db
    .transaction()
    .execute((tx) =>
      withIdempotency(deps, tx, call, () =>
        removeInTransaction(deps, tx, caller, { ...input, groupId, prepared, groupInfo }),
      ),
    );
  deps.onEvents();
  return epoch;
}

type CheckedRemoval = Omit<MemberToRemove, 'groupInfo'> & {
  readonly groupId: Buffer;
  readonly groupInfo: PreparedGroupInfo | undefined;
  readonly prepared: PreparedCommit | undefined;
};

/**
 * Returns false if the commit cannot remove leaves, because it is in clear and has neither a Remove nor a reference to
 * a proposal.
 */
function mayRemoveLeaves(prepared: PreparedCommit | undefined): boolean {
  if (prepared?.kind !== 'read') return false;
  const { content } = prepared.commit;
  return content === undefined || content.proposals.some(({ type }) => type === 'remove' || type === 'reference');
}

async function removeInTransaction(
  deps: MembershipDeps,
  tx: Tx,
  caller: Caller,
  input: CheckedRemoval,
): Promise<number> {
  const { groupId, prepared, groupInfo } = input;
  const conversation = await lockConversation(deps, tx, caller, groupId);
  const { locked, membership } = conversation;
  const { target, isFollowUp } = await requireTarget(deps, tx, { caller, groupId, membership }, input);
  const change = { method: 'removeMember', target: input.targetDid } as const;
  const outcome = await acceptMemberCommit(deps, tx, conversation, { caller, prepared, change, groupInfo });
  // One commit may remove the leaves of several people, so every call with this commit clears `removal_pending` of its
  // target.
  if (isFollowUp && mayRemoveLeaves(prepared)) await updateRemovalCommitted(tx, groupId, target.member);
  if (outcome?.kind === 'retry') return outcome.epoch;
  // A person who left and is then removed can no longer rejoin by external commit.
  if (target.state === memberStates.left && !isFollowUp) await updateLeftToRemoved(tx, groupId, target.member);
  const isActive = target.state === memberStates.active;
  if (!isActive && outcome === undefined) return locked.epoch;
  if (outcome !== undefined) await storeAttachments(deps, tx, caller, attachmentsOf(locked, groupInfo));
  return recordChange(deps, tx, locked, {
    commit: outcome?.commit,
    joined: [],
    departed: isActive ? [{ did: input.targetDid, kind: 'removed' }] : [],
  });
}

/**
 * Reads the target's membership and checks that the caller may remove the target.
 * @returns `isFollowUp` true when the target has already left or been removed and the call has the commit that removes
 *   their leaves.
 * @throws AppError CannotRemoveSelf, NotAdmin, TargetNotMember.
 */
async function requireTarget(
  deps: { readonly privacy: Privacy },
  tx: Tx,
  by: { readonly caller: Caller; readonly groupId: Buffer; readonly membership: Membership },
  input: Pick<MemberToRemove, 'targetDid' | 'commit'>,
): Promise<{ target: Membership; isFollowUp: boolean }> {
  if (input.targetDid === by.caller.did) throw domainError('CannotRemoveSelf');
  const target = await selectMembership(tx, by.groupId, memberPseudonym(deps.privacy, by.groupId, input.targetDid));
  const isFollowUp = target?.removalPending === true && input.commit !== undefined;
  const mayRemove =
    by.membership.role === roles.admin || isFollowUp || (await mayMembersRemove(tx, by.groupId, target));
  if (!mayRemove) throw domainError('NotAdmin');
  if (target === undefined) throw domainError('TargetNotMember');
  return { target, isFollowUp };
}

/** Returns whether the policy lets every member remove `target`. Only admins may remove an admin. */
async function mayMembersRemove(tx: Tx, groupId: Buffer, target: Membership | undefined): Promise<boolean> {
  return target?.role !== roles.admin && (await loadPolicy(tx, groupId)).allowMemberRemove;
}
