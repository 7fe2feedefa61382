import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { memberStates } from '../member.ts';
import type { Membership } from '../member.ts';
import { memberPseudonym } from '../members/require-member.ts';
import { selectMembership } from '../store.ts';

/**
 * The membership of somebody who may get into the MLS group again: an active member, or one who left on their own account.
 * @throws AppError ConvoNotFound for strangers, whether or not the conversation exists; NotMember for those who were removed.
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
