import { domainError } from '#domain/domain-error.ts';
import { memberPseudonym } from '#domain/membership/members/member-pseudonym.ts';
import { limits } from '#platform/limits.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import { accountPseudonym } from './account.ts';
import { sealedListSizeBytes } from './conversation-list.ts';
import { readConversationList } from './read-conversation-list.ts';
import { insertListChanges, selectLongLists } from './store.ts';

/**
 * Records that the conversation lists of these people have changed, for `applyListChanges` to update them later. The
 * transaction of a membership change does not write or lock accounts, because that would link them to the conversation.
 * @throws AppError TooManyConversations when a person who joins already has the maximum number of conversations.
 *   Concurrent changes can exceed the maximum by a few.
 */
export async function changeConversationLists(
  deps: { privacy: Privacy },
  tx: Tx,
  change: { groupId: Buffer; joined: readonly string[]; departed: readonly string[] },
): Promise<void> {
  const { groupId, joined, departed } = change;
  if (joined.length + departed.length === 0) return;
  await refuseFullLists(deps, tx, groupId, joined);
  const members = [...joined, ...departed].map((did) => memberPseudonym(deps.privacy, groupId, did));
  await insertListChanges(tx, groupId, members);
}

/**
 * Refuses the change if a person's list is full. A list that is at most half full is not read, because the pending
 * changes fit into its other half.
 */
async function refuseFullLists(
  deps: { privacy: Privacy },
  tx: Tx,
  groupId: Buffer,
  dids: readonly string[],
): Promise<void> {
  const { privacy } = deps;
  const didOf = new Map(dids.map((did) => [accountPseudonym(privacy, did).toString('hex'), did]));
  const accounts = [...didOf.keys()].map((hex) => Buffer.from(hex, 'hex'));
  const halfMax = Math.floor(limits.conversationsPerAccountMax / 2);
  for (const account of await selectLongLists(tx, accounts, sealedListSizeBytes(halfMax))) {
    const list = await readConversationList({ privacy, db: tx }, didOf.get(account.toString('hex')) ?? '');
    const others = list.filter((other) => !other.equals(groupId));
    if (others.length >= limits.conversationsPerAccountMax) throw domainError('TooManyConversations');
  }
}
