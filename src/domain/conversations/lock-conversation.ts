import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import type { Membership } from '#domain/membership/member.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import type { LockedConversation } from './conversation.ts';
import { lockCounters } from './store.ts';

/**
 * Locks the conversation until `tx` ends and then reads the caller's membership. Every change of members, epoch or
 * messages holds this lock, and the membership is read by a later statement, so counters and membership are exact. The
 * membership is also read before the lock: a non-member who had to wait for it could tell that the conversation exists,
 * and would make members wait.
 * @throws AppError ConvoNotFound or NotMember, as `requireMember`.
 */
export async function lockConversation(
  deps: { privacy: Privacy },
  tx: Tx,
  caller: Caller,
  groupId: Buffer,
): Promise<{ locked: LockedConversation; membership: Membership }> {
  const source = { privacy: deps.privacy, db: tx };
  await requireMember(source, caller, groupId);
  const locked = await lockWithoutMembershipCheck(tx, groupId);
  return { locked, membership: await requireMember(source, caller, groupId) };
}

/**
 * Locks the conversation until `tx` ends, for operations of people who need not be active members. The operation must
 * check the person's permission before the lock and again under it.
 * @throws AppError ConvoNotFound.
 */
export async function lockWithoutMembershipCheck(tx: Tx, groupId: Buffer): Promise<LockedConversation> {
  const locked = await lockCounters(tx, groupId);
  if (locked === undefined) throw domainError('ConvoNotFound');
  return locked;
}
