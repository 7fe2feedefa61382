import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { required } from '#platform/errors.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import { keyPackageClaimer, keyPackageStates, storedRef } from '../key-package.ts';
import type { ReadKeyPackage } from '../store.ts';
import { selectByRefs, selectStates } from '../store.ts';
import { insertUses } from './used-packages.ts';

/** The owner and client of a package that a Welcome uses. */
export interface ConsumedKeyPackage {
  /** KeyPackageRef. */
  readonly ref: Buffer;
  readonly did: string;
  readonly deviceTag: Buffer;
}

/** More packages that others fetched are not looked up in one Welcome: each is compared with every member of the conversation. */
const packagesOfOthersMax = 16;

/**
 * Uses up the packages that a Welcome names, in the transaction of its commit. Each must have been handed out to the
 * caller, or to one of `otherClaimers` whose proposal the caller commits, and not be used yet; a last-resort package may be used again. The rows of the packages are read without a lock, which
 * would join them to the conversation; the primary key of `used_key_packages` makes a package single-use.
 * @throws AppError KeyPackageNotFound, the same for packages that never existed, are somebody else's claim, or are used.
 */
export async function consumeKeyPackages(
  deps: { privacy: Privacy },
  tx: Tx,
  caller: Caller,
  use: {
    refs: readonly Buffer[];
    cipherSuite: number;
    /** DIDs of people who may have fetched a package for the same group; asked only where the caller did not. */
    otherClaimers: () => Promise<readonly string[]>;
  },
): Promise<ConsumedKeyPackage[]> {
  const { privacy } = deps;
  const refOf = new Map(use.refs.map((ref) => [storedRef(privacy, ref).toString('hex'), ref]));
  const names = [...refOf.keys()].map((hex) => Buffer.from(hex, 'hex'));
  const rows = await selectByRefs(tx, names);
  if (rows.length !== refOf.size || rows.length !== use.refs.length) throw domainError('KeyPackageNotFound');
  if (!rows.every((row) => row.cipherSuite === use.cipherSuite)) throw domainError('KeyPackageNotFound');
  const ofOthers = rows.filter((row) => !mayUse(privacy, [caller.did], row));
  if (ofOthers.length > packagesOfOthersMax) throw domainError('KeyPackageNotFound');
  if (ofOthers.length > 0) {
    const claimers = await use.otherClaimers();
    if (!ofOthers.every((row) => mayUse(privacy, claimers, row))) throw domainError('KeyPackageNotFound');
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

/** Whether the package is a last-resort one, or was handed out to one of `dids`. */
function mayUse(privacy: Privacy, dids: readonly string[], row: ReadKeyPackage): boolean {
  if (row.lastResort) return row.state === keyPackageStates.available;
  const { claimer, owner } = row;
  if (row.state !== keyPackageStates.handedOut || claimer === null) return false;
  return dids.some((did) => claimer.equals(keyPackageClaimer(privacy, owner, did)));
}
