import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import type { Membership } from '#domain/membership/member.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import type { LockedConversation } from './conversation.ts';
import { lockCounters } from './store.ts';

/**
 * Takes the conversation's lock until `tx` ends and then reads the caller's membership. Every change of members, epoch or
 * messages holds this lock, and the membership is read by a later statement, so both are exact. It is read before as well: whoever is
 * no member waits for no lock, which would tell that there is a conversation, and makes no member wait.
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
  const locked = await lockForJoiner(tx, groupId);
  return { locked, membership: await requireMember(source, caller, groupId) };
}

/**
 * As `lockConversation`, for those who need not be members: the caller has to find out what they may, before this and again after.
 * @throws AppError ConvoNotFound.
 */
export async function lockForJoiner(tx: Tx, groupId: Buffer): Promise<LockedConversation> {
  const locked = await lockCounters(tx, groupId);
  if (locked === undefined) throw domainError('ConvoNotFound');
  return locked;
}
