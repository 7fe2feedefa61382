import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { accountPseudonym, openSettings } from './account.ts';
import type { AccountSettings } from './account-settings.ts';
import { selectSettings } from './store.ts';

/** Reads the settings of the people in `dids` who have an account on this service. @returns the settings by DID. */
export async function readAccountSettings(
  deps: { db: Db; privacy: Privacy },
  dids: readonly string[],
): Promise<ReadonlyMap<string, AccountSettings>> {
  const didOf = new Map(dids.map((did) => [accountPseudonym(deps.privacy, did).toString('hex'), did]));
  const rows = await selectSettings(
    deps.db,
    [...didOf.keys()].map((hex) => Buffer.from(hex, 'hex')),
  );
  return new Map(
    rows.flatMap((row) => {
      const did = didOf.get(row.account.toString('hex'));
      return did === undefined ? [] : [[did, openSettings(deps.privacy, row)] as const];
    }),
  );
}
