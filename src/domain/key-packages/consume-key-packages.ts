import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/database.ts';
import { keyPackageClaimer, keyPackageStates } from './key-package.ts';
import type { LockedKeyPackage } from './store.ts';
import { lockByRefs, markConsumed } from './store.ts';

/** The owner and client of a package that a Welcome uses. */
export interface ConsumedKeyPackage {
  readonly ref: Buffer;
  readonly did: string;
  readonly deviceTag: Buffer;
}

/**
 * Uses up the packages that a Welcome names, in the transaction of its commit. Each must have been handed out to this
 * caller and not be used yet; a last-resort package may be used again. The row locks make two Welcomes wait for each other.
 * @throws AppError KeyPackageNotFound, the same for packages that never existed, are somebody else's claim, or are used.
 */
export async function consumeKeyPackages(
  deps: { privacy: Privacy },
  tx: Tx,
  caller: Caller,
  use: { refs: readonly Buffer[]; cipherSuite: number },
): Promise<ConsumedKeyPackage[]> {
  const rows = await lockByRefs(tx, use.refs);
  const distinct = new Set(use.refs.map((ref) => ref.toString('hex')));
  if (rows.length !== distinct.size || rows.length !== use.refs.length) throw domainError('KeyPackageNotFound');
  if (!rows.every((row) => row.cipherSuite === use.cipherSuite && mayUse(deps.privacy, caller, row))) {
    throw domainError('KeyPackageNotFound');
  }
  await markConsumed(
    tx,
    rows.filter((row) => !row.lastResort).map((row) => row.ref),
  );
  return rows.map(({ ref, deviceTag, sealedDid }) => ({
    ref,
    deviceTag,
    did: deps.privacy.unsealText('key-package-did', [ref], sealedDid),
  }));
}

function mayUse(privacy: Privacy, caller: Caller, row: LockedKeyPackage): boolean {
  if (row.lastResort) return row.state === keyPackageStates.available;
  const claimer = keyPackageClaimer(privacy, row.owner, caller.did);
  return row.state === keyPackageStates.handedOut && row.claimer !== null && row.claimer.equals(claimer);
}
