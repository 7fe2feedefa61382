import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { findActiveMember } from '../members/find-active-member.ts';
import { roles } from '../member.ts';
import type { Membership, Role } from '../member.ts';
import { updateRole } from '../store.ts';

export interface RoleDeps {
  readonly db: Db;
  readonly privacy: Privacy;
  readonly timeBucketSeconds: number;
}

export interface RoleTarget {
  readonly conversationId: string;
  readonly targetDid: string;
}

/** The rules for one change of role, for example for promoting an admin. */
export interface RoleChange {
  readonly to: Role;
  /** Whether only admins, or also the target, may make the change. */
  readonly by: 'admins' | 'admins-and-oneself';
  /**
   * Throws an AppError when the target's present role does not allow the change. It is called under the conversation's
   * lock.
   */
  readonly check: (tx: Tx, groupId: Buffer, target: Membership) => void | Promise<void>;
}

/**
 * Changes a member's role under the conversation's lock, so that the result of `check` still holds when the change is
 * written. The author is not stored and no event is recorded, because clients announce the change in the encrypted
 * admin roster.
 * @returns the time of the change, rounded down to the time bucket; null for the role `member`.
 * @throws AppError ConvoNotFound, NotMember, NotAdmin, TargetNotMember, and the errors of `check`.
 */
export async function changeRole(
  deps: RoleDeps,
  caller: Caller,
  input: RoleTarget,
  change: RoleChange,
): Promise<Date | null> {
  const groupId = parseConversationId(input.conversationId);
  return deps.db.transaction().execute(async (tx) => {
    const { membership } = await lockConversation(deps, tx, caller, groupId);
    const isOneself = input.targetDid === caller.did;
    const mayChange = membership.role === roles.admin || (isOneself && change.by === 'admins-and-oneself');
    if (!mayChange) throw domainError('NotAdmin');
    const target = await findActiveMember({ ...deps, db: tx }, groupId, input.targetDid);
    if (target === undefined) throw domainError('TargetNotMember');
    await change.check(tx, groupId, target);
    const { member } = target;
    return updateRole(tx, groupId, { member, role: change.to, bucketSeconds: deps.timeBucketSeconds });
  });
}
