import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import type { Membership } from '#domain/membership/member.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import type { LockedConversation } from './conversation.ts';
import { lockCounters } from './store.ts';

/**
 * Locks the conversation until `tx` ends and reads the caller's membership. Every change of members, epoch or messages
 * holds this lock, so the counters and the membership cannot change before `tx` ends.
 * @throws AppError ConvoNotFound, NotMember.
 */
export async function lockConversation(
  deps: { privacy: Privacy },
  tx: Tx,
  caller: Caller,
  groupId: Buffer,
): Promise<{ locked: LockedConversation; membership: Membership }> {
  const source = { privacy: deps.privacy, db: tx };
  // Non-members are refused before the lock, because a wait for the lock would show them that the conversation exists
  // and would delay members.
  await requireMember(source, caller, groupId);
  const locked = await lockWithoutMembershipCheck(tx, groupId);
  // The membership is read again, because it may have changed while `tx` waited for the lock.
  return { locked, membership: await requireMember(source, caller, groupId) };
}

/**
 * Locks the conversation until `tx` ends, for callers who need not be active members. The operation must check the
 * caller's permission before the lock and again under the lock.
 * @throws AppError ConvoNotFound.
 */
export async function lockWithoutMembershipCheck(tx: Tx, groupId: Buffer): Promise<LockedConversation> {
  const locked = await lockCounters(tx, groupId);
  if (locked === undefined) throw domainError('ConvoNotFound');
  return locked;
}
