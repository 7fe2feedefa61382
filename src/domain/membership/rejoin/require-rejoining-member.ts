import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { memberStates } from '../member.ts';
import type { Membership } from '../member.ts';
import { memberPseudonym } from '../members/member-pseudonym.ts';
import { selectMembership } from '../store.ts';

/**
 * Reads the membership of a person who may rejoin the MLS group, which is an active member or a person who left and was
 * not removed.
 * @throws AppError ConvoNotFound for non-members, whether or not the conversation exists; NotMember for removed
 *   members.
 */
export async function requireRejoiningMember(
  deps: { privacy: Privacy; db: Db },
  caller: Caller,
  groupId: Buffer,
): Promise<Membership> {
  const membership = await selectMembership(deps.db, groupId, memberPseudonym(deps.privacy, groupId, caller.did));
  if (membership === undefined) throw domainError('ConvoNotFound');
  if (membership.state === memberStates.removed) throw domainError('NotMember');
  return membership;
}
