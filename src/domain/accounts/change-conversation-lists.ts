import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/database.ts';
import { accountPseudonym, newAccount } from './account.ts';
import { decodeConversationList, encodeConversationList } from './conversation-list.ts';
import { insertMissingAccounts, lockAccounts, updateLists } from './store.ts';

/**
 * Adds the conversation to, or takes it off, the sealed lists of `dids`, in the transaction of the membership change.
 * Rows are rewritten in place under their locks, taken in pseudonym order.
 * @throws AppError TooManyConversations when a list is full.
 */
export async function changeConversationLists(
  deps: { privacy: Privacy },
  tx: Tx,
  change: { kind: 'add' | 'remove'; groupId: Buffer; dids: readonly string[] },
): Promise<void> {
  if (change.dids.length === 0) return;
  const { privacy } = deps;
  const people = change.dids.map((did) => ({ did, account: accountPseudonym(privacy, did) }));
  if (change.kind === 'add') {
    await insertMissingAccounts(
      tx,
      privacy.keyId,
      people.map(({ did }) => newAccount(privacy, did)),
    );
  }
  const rows = await lockAccounts(
    tx,
    people.map(({ account }) => account),
  );
  const changed = rows.map(({ account, sealedList }) => {
    const others = decodeConversationList(privacy.unseal('account-list', [account], sealedList)).filter(
      (groupId) => !groupId.equals(change.groupId),
    );
    const list = change.kind === 'add' ? [...others, change.groupId] : others;
    return { account, sealedList: privacy.seal('account-list', [account], encodeConversationList(list)) };
  });
  await updateLists(tx, privacy.keyId, changed);
}
