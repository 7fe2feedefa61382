import { readMemberStates } from '#domain/membership/members/read-member-states.ts';
import { memberPseudonym } from '#domain/membership/members/member-pseudonym.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { accountPseudonym } from './account.ts';
import { decodeConversationList } from './conversation-list.ts';
import { selectListAndChanges } from './store.ts';

/**
 * Reads the group ids of the conversations in which the person is an active member. The stored list is corrected by the
 * pending changes, all of which must be checked because a change does not name its person.
 */
export async function readConversationList(deps: { privacy: Privacy; db: Db }, did: string): Promise<Buffer[]> {
  const { privacy, db } = deps;
  const account = accountPseudonym(privacy, did);
  const { sealedList, changes } = await selectListAndChanges(db, account);
  const stored =
    sealedList === undefined ? [] : decodeConversationList(privacy.unseal('account-list', [account], sealedList));
  const own = changes.filter(({ groupId, member }) => memberPseudonym(privacy, groupId, did).equals(member));
  if (own.length === 0) return stored;
  const changed = new Set(own.map(({ groupId }) => groupId.toString('hex')));
  const states = await readMemberStates(db, own);
  return [
    ...stored.filter((groupId) => !changed.has(groupId.toString('hex'))),
    ...states.filter(({ isActive }) => isActive).map(({ groupId }) => groupId),
  ];
}
