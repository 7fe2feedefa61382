import type { Caller } from '#domain/caller.ts';
import { readCipherSuite } from '#domain/conversations/read-cipher-suite.ts';
import { claimDeviceKeyPackage } from '#domain/key-packages/claiming/claim-device-key-package.ts';
import type { HandedOutKeyPackage } from '#domain/key-packages/key-package.ts';
import { findActiveMember } from '#domain/membership/members/find-active-member.ts';
import { cipherSuiteName } from '#mls/cipher-suites.ts';
import type { Clock } from '#platform/clock.ts';
import { required } from '#platform/errors.ts';
import { limits } from '#platform/limits.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { sealClaim } from './device-addition.ts';
import type { Candidate } from './device-addition.ts';
import { lockAddition } from './lock-addition.ts';
import { filterPendingAdditions, readClaims } from './filter-pending-additions.ts';
import { deleteClaims, upsertClaim } from './store.ts';

export interface ClaimDeps {
  readonly db: Db;
  readonly privacy: Privacy;
  readonly clock: Clock;
  readonly timeBucketSeconds: number;
  readonly deviceWaitDays: number;
  /** Called with the device's owner after a successful claim. */
  readonly onClaims: (ownerDids: ReadonlySet<string>) => void;
}

/** The result of a claim. `candidate` is present if the addition is pending. */
export type ClaimOutcome =
  | { readonly kind: 'unknown' }
  /** `by` is the member who has the claim, or undefined if the device has no available key package. */
  | { readonly kind: 'unavailable'; readonly candidate: Candidate; readonly by: string | undefined }
  | {
      readonly kind: 'claimed';
      readonly candidate: Candidate;
      readonly by: string;
      readonly keyPackage: HandedOutKeyPackage;
      /** The lexicon's name of the cipher suite. */
      readonly cipherSuite: string;
    };

/**
 * Claims an addition for 60 seconds, and then claims one key package of the device. The claim belongs to the person, so
 * a repeated call renews it and returns the same package.
 * @throws AppError NotMember for removed members. For people who were never members, the result is `unknown`.
 */
export async function claimAddition(deps: ClaimDeps, caller: Caller, id: string): Promise<ClaimOutcome> {
  // The transaction takes the conversation's lock, so that only one of many concurrent claimers succeeds.
  const outcome = await deps.db.transaction().execute((tx) => recordClaim(deps, tx, caller, id));
  if ('kind' in outcome) return outcome;
  const { candidate, cipherSuite, isFirst } = outcome;
  const { did, tag: deviceTag } = candidate.device;
  // A second transaction claims the package, because one transaction for both would link the package and its owner to
  // the conversation. If the process dies before this transaction, the claim ends after 60 seconds.
  const keyPackage = await deps.db
    .transaction()
    .execute((tx) => claimDeviceKeyPackage(deps, tx, caller, { did, deviceTag, cipherSuite }));
  if (keyPackage === undefined) {
    if (isFirst) await releaseClaim(deps, caller, id);
    return { kind: 'unavailable', candidate, by: undefined };
  }
  deps.onClaims(new Set([did]));
  const suiteName = required(cipherSuiteName(cipherSuite), 'the name of a stored cipher suite');
  return { kind: 'claimed', candidate, by: caller.did, keyPackage, cipherSuite: suiteName };
}

/** A claim that was stored and for which a key package must still be claimed. */
interface WrittenClaim {
  readonly candidate: Candidate;
  readonly cipherSuite: number;
  /** Whether the caller had no claim on the addition before. */
  readonly isFirst: boolean;
}

async function recordClaim(deps: ClaimDeps, tx: Tx, caller: Caller, id: string): Promise<ClaimOutcome | WrittenClaim> {
  const addition = await lockAddition(deps, tx, caller, id);
  if (addition === undefined) return { kind: 'unknown' };
  const { candidate, key } = addition;
  const { device, groupId } = candidate;
  const [waiting] = await filterPendingAdditions({ ...deps, db: tx }, [candidate]);
  const owner = await findActiveMember({ ...deps, db: tx }, groupId, device.did);
  if (waiting === undefined || owner === undefined) return { kind: 'unknown' };
  const { claimedBy } = waiting;
  if (claimedBy !== undefined && claimedBy !== caller.did) return { kind: 'unavailable', candidate, by: claimedBy };
  const [previous] = await readClaims({ ...deps, db: tx }, [candidate]);
  const claim = { state: 'claimed', by: caller.did, untilMs: deps.clock.nowMs() + limits.deviceClaimMs } as const;
  const sealedClaim = sealClaim(deps.privacy, key, claim);
  await upsertClaim(tx, { addition: key, keyId: deps.privacy.keyId, sealedClaim }, deps.deviceWaitDays);
  const cipherSuite = await readCipherSuite({ db: tx }, groupId);
  return { candidate, cipherSuite, isFirst: previous?.by !== caller.did };
}

/** Deletes the caller's claim because no package was available. If another member has the claim now, it stays. */
async function releaseClaim(deps: ClaimDeps, caller: Caller, id: string): Promise<void> {
  await deps.db.transaction().execute(async (tx) => {
    const addition = await lockAddition(deps, tx, caller, id);
    if (addition === undefined) return;
    const [claim] = await readClaims({ ...deps, db: tx }, [addition.candidate]);
    if (claim?.by === caller.did && claim.state === 'claimed') await deleteClaims(tx, [addition.key]);
  });
}
