import { defaultAccountSettings } from '#domain/accounts/account-settings.ts';
import type { AccountSettings } from '#domain/accounts/account-settings.ts';
import { changeAccountSettings } from '#domain/accounts/change-account-settings.ts';
import { readAccountSettings } from '#domain/accounts/read-account-settings.ts';
import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';

export type ChatRequestSettings = Pick<
  AccountSettings,
  'allowFollowersBypass' | 'allowFollowingBypass' | 'autoExpireDays'
>;

interface SettingsDeps {
  readonly db: Db;
  readonly privacy: Privacy;
}

export async function getChatRequestSettings(deps: SettingsDeps, caller: Caller): Promise<ChatRequestSettings> {
  return settingsOf((await readAccountSettings(deps, [caller.did])).get(caller.did) ?? defaultAccountSettings);
}

/** Changes the settings that are not undefined. `autoExpireDays` applies only to requests that are sent later. */
export async function updateChatRequestSettings(
  deps: SettingsDeps,
  caller: Caller,
  change: { readonly [Name in keyof ChatRequestSettings]: ChatRequestSettings[Name] | undefined },
): Promise<ChatRequestSettings> {
  return settingsOf(
    await changeAccountSettings(deps, caller.did, (before) => ({
      ...before,
      allowFollowersBypass: change.allowFollowersBypass ?? before.allowFollowersBypass,
      allowFollowingBypass: change.allowFollowingBypass ?? before.allowFollowingBypass,
      autoExpireDays: change.autoExpireDays ?? before.autoExpireDays,
    })),
  );
}

function settingsOf({
  allowFollowersBypass,
  allowFollowingBypass,
  autoExpireDays,
}: AccountSettings): ChatRequestSettings {
  return { allowFollowersBypass, allowFollowingBypass, autoExpireDays };
}
