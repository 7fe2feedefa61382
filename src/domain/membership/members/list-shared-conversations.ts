import { readConversationList } from '#domain/accounts/read-conversation-list.ts';
import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { isActive } from './read-entitlements.ts';
import { memberPseudonym } from './member-pseudonym.ts';
import { selectMembershipPairs } from '../store.ts';

/** Lists the group ids of conversations in which the caller and `otherDid` are both active members. */
export async function listSharedConversations(
  deps: { readonly db: Db; readonly privacy: Privacy },
  caller: Caller,
  otherDid: string,
): Promise<Buffer[]> {
  const groupIds = await readConversationList(deps, caller.did);
  const members = groupIds.map((groupId) => memberPseudonym(deps.privacy, groupId, otherDid));
  const rows = await selectMembershipPairs(deps.db, { groupIds, members });
  return rows.filter(isActive).map(({ groupId }) => groupId);
}
