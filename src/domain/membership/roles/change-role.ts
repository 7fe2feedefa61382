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

/** One way to change a role. */
export interface RoleChange {
  readonly to: Role;
  /** Who may do it: admins, or also the person whose role it is. */
  readonly by: 'admins' | 'admins-and-oneself';
  /** Throws an AppError when the target's present role does not allow it; runs under the conversation's lock. */
  readonly check: (tx: Tx, groupId: Buffer, target: Membership) => void | Promise<void>;
}

/**
 * Changes a member's role under the conversation's lock, so that what `check` saw is still so when the change is written.
 * Who made the change is not stored, and no event tells of it: clients announce it in the encrypted admin roster.
 * @returns when, rounded down; null for the role that everybody has.
 * @throws AppError ConvoNotFound, NotMember, NotAdmin, TargetNotMember, and what `check` throws.
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
