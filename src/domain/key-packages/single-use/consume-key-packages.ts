import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { required } from '#platform/errors.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import { keyPackageClaimer, keyPackageStates, storedRef } from '../key-package.ts';
import type { ReadKeyPackage } from '../store.ts';
import { selectByRefs, selectStates } from '../store.ts';
import { insertUses } from './used-key-packages-store.ts';

/** A package that a Welcome uses. `did` and `deviceTag` identify its owner and the device that can open the Welcome. */
export interface ConsumedKeyPackage {
  /** The KeyPackageRef (RFC 9420 section 5.2). */
  readonly ref: Buffer;
  readonly did: string;
  readonly deviceTag: Buffer;
}

/**
 * Maximum number of packages in a Welcome that were handed out to other members. It is limited because each of these
 * packages is compared with every member.
 */
const claimedByOthersMax = 16;

/**
 * Marks the packages of a Welcome as used, in the transaction of its commit. Each one-time package must be unused and
 * handed out to the caller or to one of `otherClaimers`, whose proposal the caller commits.
 * @throws AppError KeyPackageNotFound, whether a package does not exist, was handed out to others, or is used.
 */
export async function consumeKeyPackages(
  deps: { privacy: Privacy },
  tx: Tx,
  caller: Caller,
  use: {
    refs: readonly Buffer[];
    cipherSuite: number;
    /**
     * Loads the DIDs of people who may have claimed a package for this group. It is called only if the caller did not
     * claim all of the packages.
     */
    otherClaimers: () => Promise<readonly string[]>;
  },
): Promise<ConsumedKeyPackage[]> {
  const { privacy } = deps;
  const refOf = new Map(use.refs.map((ref) => [storedRef(privacy, ref).toString('hex'), ref]));
  const storedRefs = [...refOf.keys()].map((hex) => Buffer.from(hex, 'hex'));
  // The rows are read without a lock, because a lock would link them to the conversation.
  const rows = await selectByRefs(tx, storedRefs);
  if (rows.length !== refOf.size || rows.length !== use.refs.length) throw domainError('KeyPackageNotFound');
  if (!rows.every((row) => row.cipherSuite === use.cipherSuite)) throw domainError('KeyPackageNotFound');
  const claimedByOthers = rows.filter((row) => !isUsableBy(privacy, [caller.did], row));
  if (claimedByOthers.length > claimedByOthersMax) throw domainError('KeyPackageNotFound');
  if (claimedByOthers.length > 0) {
    const claimers = await use.otherClaimers();
    if (!claimedByOthers.every((row) => isUsableBy(privacy, claimers, row))) throw domainError('KeyPackageNotFound');
  }
  // A last-resort package may be used again, so it is not marked.
  const oneTime = rows.filter((row) => !row.lastResort).map((row) => row.ref);
  // The primary key of `used_key_packages` makes a package single-use.
  if ((await insertUses(tx, privacy, oneTime)) !== oneTime.length) throw domainError('KeyPackageNotFound');
  // `applyKeyPackageUses` may have moved an earlier use into the package row since the first read, so the states are
  // read again.
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

/** Returns whether the package is an available last-resort package, or was handed out to one of `dids`. */
function isUsableBy(privacy: Privacy, dids: readonly string[], row: ReadKeyPackage): boolean {
  if (row.lastResort) return row.state === keyPackageStates.available;
  const { claimer, owner } = row;
  if (row.state !== keyPackageStates.handedOut || claimer === null) return false;
  return dids.some((did) => claimer.equals(keyPackageClaimer(privacy, owner, did)));
}
