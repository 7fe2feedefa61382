import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { eventKinds } from '#domain/events/event.ts';
import { recordEvents } from '#domain/events/record-events.ts';
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
  /** Called after the database commit, to notify subscribers. */
  readonly onEvents: () => void;
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

/** The event that reports a change to each role. */
const eventOf = {
  [roles.member]: eventKinds.becameMember,
  [roles.moderator]: eventKinds.becameModerator,
  [roles.admin]: eventKinds.becameAdmin,
} as const satisfies Record<Role, number>;

/**
 * Changes a member's role under the conversation's lock, so that the result of `check` still holds when the change is
 * written, and records an event that reports the new role to the members. The author of the change is not stored.
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
  const promotedAt = await deps.db.transaction().execute(async (tx) => {
    const { locked, membership } = await lockConversation(deps, tx, caller, groupId);
    const isOneself = input.targetDid === caller.did;
    const mayChange = membership.role === roles.admin || (isOneself && change.by === 'admins-and-oneself');
    if (!mayChange) throw domainError('NotAdmin');
    const target = await findActiveMember({ ...deps, db: tx }, groupId, input.targetDid);
    if (target === undefined) throw domainError('TargetNotMember');
    await change.check(tx, groupId, target);
    const { member } = target;
    const role = change.to;
    const promotedAt = await updateRole(tx, groupId, { member, role, bucketSeconds: deps.timeBucketSeconds });
    const { epoch, lastSeq, lastEvent } = locked;
    const event = { kind: eventOf[role], did: input.targetDid };
    await recordEvents(deps, tx, { groupId, epoch, lastSeq, firstEvent: lastEvent + 1 }, [event]);
    return promotedAt;
  });
  deps.onEvents();
  return promotedAt;
}
