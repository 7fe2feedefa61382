import { readAccountSettings } from '#domain/accounts/read-account-settings.ts';
import type { AccountSettings } from '#domain/accounts/account-settings.ts';
import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { readBlockers } from './read-blockers.ts';
import type { BlockDeps } from './read-blockers.ts';

export type VisibilityDeps = BlockDeps & { readonly db: Db; readonly privacy: Privacy };

export interface Visibility {
  /** The settings by DID of the people who have an account here and are not hidden. */
  readonly settings: ReadonlyMap<string, AccountSettings>;
  /** People who have opted out or who block the caller. */
  readonly hidden: ReadonlySet<string>;
}

/**
 * Finds the people in `dids`, except the caller, who must look to the caller like people without an account. Blocks are
 * fetched only for people with an account, so that a list of invented DIDs causes no outbound request.
 */
export async function readVisibility(
  deps: VisibilityDeps,
  caller: Caller,
  dids: readonly string[],
): Promise<Visibility> {
  const accounts = await readAccountSettings(deps, dids);
  const others = [...accounts.keys()].filter((did) => did !== caller.did);
  const hasOptedOut = (did: string): boolean => accounts.get(did)?.optIn?.choice === 'out';
  const blockers = await readBlockers(
    deps,
    caller.did,
    others.filter((did) => !hasOptedOut(did)),
  );
  const hidden = new Set(others.filter((did) => hasOptedOut(did) || blockers.has(did)));
  return { settings: new Map([...accounts].filter(([did]) => !hidden.has(did))), hidden };
}
