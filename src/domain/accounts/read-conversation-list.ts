import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/database.ts';
import { accountPseudonym } from './account.ts';
import { decodeConversationList } from './conversation-list.ts';
import { selectAccount } from './store.ts';

/** Group ids of the conversations that the person is an active member of. */
export async function readConversationList(deps: { privacy: Privacy; db: Db }, did: string): Promise<Buffer[]> {
  const account = accountPseudonym(deps.privacy, did);
  const row = await selectAccount(deps.db, account);
  return row === undefined
    ? []
    : decodeConversationList(deps.privacy.unseal('account-list', [account], row.sealedList));
}
