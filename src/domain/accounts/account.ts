import type { Privacy } from '#privacy/privacy.ts';
import { decodeAccountSettings, defaultAccountSettings, encodeAccountSettings } from './account-settings.ts';
import type { AccountSettings } from './account-settings.ts';
import { encodeConversationList } from './conversation-list.ts';

/** Computes the pseudonym of a person's account. No table except `accounts` contains it. */
export function accountPseudonym(privacy: Privacy, did: string): Buffer {
  return privacy.pseudonym('account', [], did);
}

export interface NewAccount {
  readonly account: Buffer;
  readonly sealedDid: Buffer;
  readonly sealedList: Buffer;
  readonly sealedSettings: Buffer;
}

/** Creates the values of a new account with an empty conversation list and default settings. */
export function newAccount(privacy: Privacy, did: string): NewAccount {
  const account = accountPseudonym(privacy, did);
  return {
    account,
    sealedDid: privacy.sealText('account-did', [account], did),
    sealedList: privacy.seal('account-list', [account], encodeConversationList([])),
    sealedSettings: sealSettings(privacy, account, defaultAccountSettings),
  };
}

export function sealSettings(privacy: Privacy, account: Buffer, settings: AccountSettings): Buffer {
  return privacy.seal('account-settings', [account], encodeAccountSettings(settings));
}

/** Unseals the settings of an account. A row without settings has the default settings. */
export function openSettings(
  privacy: Privacy,
  row: { readonly account: Buffer; readonly sealedSettings: Buffer | null },
): AccountSettings {
  return row.sealedSettings === null
    ? defaultAccountSettings
    : decodeAccountSettings(privacy.unseal('account-settings', [row.account], row.sealedSettings));
}
