import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/database.ts';
import { memberStates } from './member.ts';
import { memberPseudonym } from './require-member.ts';
import { selectMembership } from './store.ts';

/** Whether the person is in the conversation now. */
export async function isActiveMember(
  deps: { db: Db; privacy: Privacy },
  groupId: Buffer,
  did: string,
): Promise<boolean> {
  const membership = await selectMembership(deps.db, groupId, memberPseudonym(deps.privacy, groupId, did));
  return membership?.state === memberStates.active;
}
