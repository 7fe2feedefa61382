import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import type { Membership } from '../member.ts';
import { selectMembership } from '../store.ts';
import { memberPseudonym } from './member-pseudonym.ts';
import { refuseNonMember } from './refuse-non-member.ts';

/**
 * Reads the caller's active membership. The result can become outdated unless `db` is a transaction that holds the
 * conversation's lock.
 * @throws AppError ConvoNotFound for non-members, whether or not the conversation exists; NotMember for people who left
 *   or were removed.
 */
export async function requireMember(
  deps: { privacy: Privacy; db: Db },
  caller: Caller,
  groupId: Buffer,
): Promise<Membership> {
  const membership = await selectMembership(deps.db, groupId, memberPseudonym(deps.privacy, groupId, caller.did));
  return refuseNonMember(membership);
}
