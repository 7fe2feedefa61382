import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { requireMember } from '#domain/membership/require-member.ts';
import type { Membership } from '#domain/membership/member.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/database.ts';
import type { LockedConversation } from './conversation.ts';
import { lockCounters } from './store.ts';

/**
 * Takes the conversation's lock until `tx` ends and then reads the caller's membership. Every change of members, epoch or
 * messages holds this lock, and the membership is read by a later statement, so both are exact.
 * @throws AppError ConvoNotFound or NotMember, as `requireMember`.
 */
export async function lockConversation(
  deps: { privacy: Privacy },
  tx: Tx,
  caller: Caller,
  groupId: Buffer,
): Promise<{ locked: LockedConversation; membership: Membership }> {
  const locked = await lockForJoiner(tx, groupId);
  return { locked, membership: await requireMember({ privacy: deps.privacy, db: tx }, caller, groupId) };
}

/**
 * As `lockConversation`, for those who need not be members: the caller has to find out what they may.
 * @throws AppError ConvoNotFound.
 */
export async function lockForJoiner(tx: Tx, groupId: Buffer): Promise<LockedConversation> {
  const locked = await lockCounters(tx, groupId);
  if (locked === undefined) throw domainError('ConvoNotFound');
  return locked;
}
