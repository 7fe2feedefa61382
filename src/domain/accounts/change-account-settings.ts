import { required } from '#platform/errors.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { accountPseudonym, newAccount, openSettings, sealSettings } from './account.ts';
import type { AccountSettings } from './account-settings.ts';
import { insertMissingAccounts, lockSettings, updateSettings } from './store.ts';

/**
 * Changes a person's settings under a row lock, and creates the row if it is missing. If `change` throws, nothing is
 * changed.
 * @returns the settings after the change.
 */
export async function changeAccountSettings(
  deps: { db: Db; privacy: Privacy },
  did: string,
  change: (settings: AccountSettings) => AccountSettings,
): Promise<AccountSettings> {
  const { privacy } = deps;
  const account = accountPseudonym(privacy, did);
  return deps.db.transaction().execute(async (tx) => {
    await insertMissingAccounts(tx, privacy.keyId, [newAccount(privacy, did)]);
    const row = required(await lockSettings(tx, account), 'an account that was just made');
    const settings = change(openSettings(privacy, row));
    await updateSettings(tx, account, sealSettings(privacy, account, settings));
    return settings;
  });
}
