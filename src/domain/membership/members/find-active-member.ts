import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { memberStates } from '../member.ts';
import type { Membership } from '../member.ts';
import { memberPseudonym } from './require-member.ts';
import { selectMembership } from '../store.ts';

/** Somebody's membership if they are a member now; exact when `db` is a transaction with the conversation's lock. */
export async function findActiveMember(
  deps: { privacy: Privacy; db: Db },
  groupId: Buffer,
  did: string,
): Promise<Membership | undefined> {
  const membership = await selectMembership(deps.db, groupId, memberPseudonym(deps.privacy, groupId, did));
  return membership?.state === memberStates.active ? membership : undefined;
}
