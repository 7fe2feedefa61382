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
import { memberPseudonym } from './members/require-member.ts';
import { attachmentsOf, prepareMembersGroupInfo, storeAttachments } from './commits/store-attachments.ts';
import { selectMembership, updateBarred, updateRemovalCommitted } from './store.ts';

export interface MemberToRemove {
  readonly conversationId: string;
  readonly targetDid: string;
  readonly commit: Buffer | undefined;
  /** Of the epoch after the commit. */
  readonly groupInfo?: Buffer | undefined;
  readonly idempotencyKey?: string | undefined;
}

/**
 * Removes a member, with the commit that removes their clients if it is given. Somebody who was removed before is removed already,
 * and somebody who has left can no longer come back on their own account; while their clients are still in the MLS group, every member may bring the commit. From here on the person
 * reads nothing later than the event that tells of it.
 * @returns the epoch after the change.
 * @throws AppError ConvoNotFound, NotMember, NotAdmin, CannotRemoveSelf, TargetNotMember, InvalidCommit, InvalidGroupInfo,
 *   EpochMismatch, PolicyViolation, IdempotencyKeyReused.
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

/** A commit in clear without any Remove takes nobody out. */
function mayTakeOut(prepared: PreparedCommit | undefined): boolean {
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
  const room = await lockConversation(deps, tx, caller, groupId);
  const { locked, membership } = room;
  const { target, isFollowUp } = await requireTarget(deps, tx, { caller, groupId, membership }, input);
  const change = { method: 'removeMember', target: input.targetDid } as const;
  const verdict = await acceptMemberCommit(deps, tx, room, { caller, prepared, change, groupInfo });
  // One commit may take out several people, so a stored commit counts for each person it is named with.
  if (isFollowUp && mayTakeOut(prepared)) await updateRemovalCommitted(tx, groupId, target.member);
  if (verdict?.kind === 'retry') return verdict.epoch;
  if (target.state === memberStates.left && !isFollowUp) await updateBarred(tx, groupId, target.member);
  const isActive = target.state === memberStates.active;
  if (!isActive && verdict === undefined) return locked.epoch;
  if (verdict !== undefined) await storeAttachments(deps, tx, caller, attachmentsOf(locked, groupInfo));
  return recordChange(deps, tx, locked, {
    commit: verdict?.commit,
    joined: [],
    departed: isActive ? [{ did: input.targetDid, kind: 'removed' }] : [],
  });
}

/** The person to remove, once the caller is found to be allowed to. */
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

/** The policy may let every member remove others, but admins only admins. */
async function mayMembersRemove(tx: Tx, groupId: Buffer, target: Membership | undefined): Promise<boolean> {
  return target?.role !== roles.admin && (await loadPolicy(tx, groupId)).allowMemberRemove;
}
