import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { memberStates } from '../member.ts';
import type { Membership } from '../member.ts';
import { memberPseudonym } from './member-pseudonym.ts';
import { selectMembership } from '../store.ts';

/**
 * Finds a person's membership if it is active. The result can become outdated unless `db` is a transaction that holds
 * the conversation's lock.
 */
export async function findActiveMember(
  deps: { privacy: Privacy; db: Db },
  groupId: Buffer,
  did: string,
): Promise<Membership | undefined> {
  const membership = await selectMembership(deps.db, groupId, memberPseudonym(deps.privacy, groupId, did));
  return membership?.state === memberStates.active ? membership : undefined;
}
