import type { Privacy } from '#privacy/privacy.ts';
import { encodeConversationList } from './conversation-list.ts';

/** A person's account pseudonym; it stands in no other table. */
export function accountPseudonym(privacy: Privacy, did: string): Buffer {
  return privacy.pseudonym('account', [], did);
}

/** A row for somebody who is in no conversation yet. */
export function newAccount(privacy: Privacy, did: string): { account: Buffer; sealedDid: Buffer; sealedList: Buffer } {
  const account = accountPseudonym(privacy, did);
  return {
    account,
    sealedDid: privacy.sealText('account-did', [account], did),
    sealedList: privacy.seal('account-list', [account], encodeConversationList([])),
  };
}
