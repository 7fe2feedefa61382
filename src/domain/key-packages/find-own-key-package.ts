import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/database.ts';
import { keyPackageOwner, keyPackageStates } from './key-package.ts';
import { selectStates } from './store.ts';

/** One of the caller's own packages among `refs`, one that is not used up if there is such; others' packages are passed over. */
export async function findOwnKeyPackage(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  refs: readonly Buffer[],
): Promise<{ ref: Buffer; state: keyof typeof keyPackageStates } | undefined> {
  const owner = keyPackageOwner(deps.privacy, caller.did);
  const own = (await selectStates(deps.db, refs)).filter((row) => row.owner.equals(owner));
  for (const state of ['handedOut', 'available', 'consumed'] as const) {
    const found = own.find((row) => row.state === keyPackageStates[state]);
    if (found !== undefined) return { ref: found.ref, state };
  }
  return undefined;
}
