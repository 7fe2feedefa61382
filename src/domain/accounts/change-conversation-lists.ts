import { domainError } from '#domain/domain-error.ts';
import { memberPseudonym } from '#domain/membership/members/require-member.ts';
import { limits } from '#platform/limits.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import { accountPseudonym } from './account.ts';
import { sealedListSizeBytes } from './conversation-list.ts';
import { readConversationList } from './read-conversation-list.ts';
import { insertListChanges, selectLongLists } from './store.ts';

/**
 * Notes in the transaction of a membership change that the lists of these people have changed. The accounts are neither written nor
 * locked: one transaction for both would join them to the conversation. `applyListChanges` carries the change over.
 * @throws AppError TooManyConversations when somebody who joins is in as many conversations as an account may be. Changes that are
 *   made in the same moment do not see each other, so that a list can come to be a few longer than that.
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

/** Reads the lists of those only who have half of what is allowed: what waits for the others is less than the other half. */
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
