import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { required } from '#platform/errors.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/database.ts';
import { keyPackageClaimer, keyPackageStates, storedRef } from './key-package.ts';
import type { ReadKeyPackage } from './store.ts';
import { selectByRefs, selectStates } from './store.ts';
import { insertUses } from './used-packages.ts';

/** The owner and client of a package that a Welcome uses. */
export interface ConsumedKeyPackage {
  /** KeyPackageRef. */
  readonly ref: Buffer;
  readonly did: string;
  readonly deviceTag: Buffer;
}

/**
 * Uses up the packages that a Welcome names, in the transaction of its commit. Each must have been handed out to this
 * caller and not be used yet; a last-resort package may be used again. The rows of the packages are read without a lock, which
 * would join them to the conversation; the primary key of `used_key_packages` makes a package single-use.
 * @throws AppError KeyPackageNotFound, the same for packages that never existed, are somebody else's claim, or are used.
 */
export async function consumeKeyPackages(
  deps: { privacy: Privacy },
  tx: Tx,
  caller: Caller,
  use: { refs: readonly Buffer[]; cipherSuite: number },
): Promise<ConsumedKeyPackage[]> {
  const { privacy } = deps;
  const refOf = new Map(use.refs.map((ref) => [storedRef(privacy, ref).toString('hex'), ref]));
  const names = [...refOf.keys()].map((hex) => Buffer.from(hex, 'hex'));
  const rows = await selectByRefs(tx, names);
  if (rows.length !== refOf.size || rows.length !== use.refs.length) throw domainError('KeyPackageNotFound');
  if (!rows.every((row) => row.cipherSuite === use.cipherSuite && mayUse(privacy, caller, row))) {
    throw domainError('KeyPackageNotFound');
  }
  const oneTime = rows.filter((row) => !row.lastResort).map((row) => row.ref);
  if ((await insertUses(tx, privacy, oneTime)) !== oneTime.length) throw domainError('KeyPackageNotFound');
  // An earlier use may have been carried over into the row since it was read, and its note be gone: this statement sees that.
  const states = await selectStates(tx, oneTime);
  if (states.filter(({ state }) => state === keyPackageStates.handedOut).length !== oneTime.length) {
    throw domainError('KeyPackageNotFound');
  }
  return rows.map(({ ref, deviceTag, sealedDid }) => ({
    ref: required(refOf.get(ref.toString('hex')), 'the ref of a package that was read'),
    deviceTag,
    did: privacy.unsealText('key-package-did', [ref], sealedDid),
  }));
}

function mayUse(privacy: Privacy, caller: Caller, row: ReadKeyPackage): boolean {
  if (row.lastResort) return row.state === keyPackageStates.available;
  const claimer = keyPackageClaimer(privacy, row.owner, caller.did);
  return row.state === keyPackageStates.handedOut && row.claimer !== null && row.claimer.equals(claimer);
}
