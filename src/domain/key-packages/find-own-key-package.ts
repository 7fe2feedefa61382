import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { keyPackageOwner, keyPackageStates, storedRef } from './key-package.ts';
import { selectStates } from './store.ts';
import { readDeferredUses } from './single-use/used-key-packages-store.ts';

/** Finds one of the caller's packages among `refs`, preferably an unused one. Packages of other people are ignored. */
export async function findOwnKeyPackage(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  refs: readonly Buffer[],
): Promise<{ ref: Buffer; state: keyof typeof keyPackageStates } | undefined> {
  const owner = keyPackageOwner(deps.privacy, caller.did);
  const refOf = new Map(refs.map((ref) => [storedRef(deps.privacy, ref).toString('hex'), ref]));
  const storedRefs = [...refOf.keys()].map((hex) => Buffer.from(hex, 'hex'));
  const own = (await selectStates(deps.db, storedRefs)).filter((row) => row.owner.equals(owner));
  const uses = await readDeferredUses(
    deps,
    own.map(({ ref }) => ref),
  );
  const used = new Set(uses.map(({ ref }) => ref.toString('hex')));
  for (const state of ['handedOut', 'available', 'consumed'] as const) {
    const found = own.find((row) => stateNow(row, used) === keyPackageStates[state]);
    const ref = found && refOf.get(found.ref.toString('hex'));
    if (ref !== undefined) return { ref, state };
  }
  return undefined;
}

function stateNow(row: { readonly ref: Buffer; readonly state: number }, used: ReadonlySet<string>): number {
  return used.has(row.ref.toString('hex')) ? keyPackageStates.consumed : row.state;
}
