import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { keyPackageOwner, keyPackageStates, storedRef } from './key-package.ts';
import { selectStates } from './store.ts';
import { readUses } from './claiming/used-packages.ts';

/** One of the caller's own packages among `refs`, one that is not used up if there is such; others' packages are passed over. */
export async function findOwnKeyPackage(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  refs: readonly Buffer[],
): Promise<{ ref: Buffer; state: keyof typeof keyPackageStates } | undefined> {
  const owner = keyPackageOwner(deps.privacy, caller.did);
  const refOf = new Map(refs.map((ref) => [storedRef(deps.privacy, ref).toString('hex'), ref]));
  const names = [...refOf.keys()].map((hex) => Buffer.from(hex, 'hex'));
  const own = (await selectStates(deps.db, names)).filter((row) => row.owner.equals(owner));
  const uses = await readUses(
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
