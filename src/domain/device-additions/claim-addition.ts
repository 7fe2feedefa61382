import type { Caller } from '#domain/caller.ts';
import { readCipherSuite } from '#domain/conversations/read-cipher-suite.ts';
import { claimDeviceKeyPackage } from '#domain/key-packages/claim-device-key-package.ts';
import type { HandedOutKeyPackage } from '#domain/key-packages/key-package.ts';
import { findActiveMember } from '#domain/membership/find-active-member.ts';
import { cipherSuiteName } from '#mls/cipher-suites.ts';
import type { Clock } from '#platform/clock.ts';
import { required } from '#platform/errors.ts';
import { limits } from '#platform/limits.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/database.ts';
import { sealClaim } from './device-addition.ts';
import type { Candidate } from './device-addition.ts';
import { lockAddition } from './find-addition.ts';
import { openAdditions } from './open-additions.ts';
import { upsertClaim } from './store.ts';

export interface ClaimDeps {
  readonly db: Db;
  readonly privacy: Privacy;
  readonly clock: Clock;
  readonly timeBucketSeconds: number;
  readonly deviceWaitDays: number;
  /** Called with the device's owner after a claim that was served. */
  readonly onClaims: (ownerDids: ReadonlySet<string>) => void;
}

/** What a claim came to; `candidate` is there where the addition waits. */
export type ClaimOutcome =
  | { readonly kind: 'unknown' }
  /** `by` is absent when the device has no key package left to give. */
  | { readonly kind: 'unavailable'; readonly candidate: Candidate; readonly by: string | undefined }
  | {
      readonly kind: 'claimed';
      readonly candidate: Candidate;
      readonly by: string;
      readonly keyPackage: HandedOutKeyPackage;
      /** Lexicon name. */
      readonly cipherSuite: string;
    };

/**
 * Claims an addition for 60 seconds and hands out one key package of the device, in one transaction under the conversation's
 * lock: of many claimers one gets it. The claim is the person's, so a repeated call renews it and gets the same package.
 * @throws AppError NotMember for former members; to strangers the addition is unknown.
 */
export async function claimAddition(deps: ClaimDeps, caller: Caller, id: string): Promise<ClaimOutcome> {
  const outcome = await deps.db.transaction().execute(async (tx): Promise<ClaimOutcome> => {
    const addition = await lockAddition(deps, tx, caller, id);
    if (addition === undefined) return { kind: 'unknown' };
    const { candidate, key } = addition;
    const { device, groupId } = candidate;
    const [waiting] = await openAdditions({ ...deps, db: tx }, [candidate]);
    const owner = await findActiveMember({ ...deps, db: tx }, groupId, device.did);
    if (waiting === undefined || owner === undefined) return { kind: 'unknown' };
    const { claimedBy } = waiting;
    if (claimedBy !== undefined && claimedBy !== caller.did) return { kind: 'unavailable', candidate, by: claimedBy };
    return claimFree(deps, tx, caller, { candidate, key });
  });
  if (outcome.kind === 'claimed') deps.onClaims(new Set([outcome.candidate.device.did]));
  return outcome;
}

async function claimFree(
  deps: ClaimDeps,
  tx: Tx,
  caller: Caller,
  addition: { candidate: Candidate; key: Buffer },
): Promise<ClaimOutcome> {
  const { candidate, key } = addition;
  const { device, groupId } = candidate;
  const cipherSuite = await readCipherSuite({ db: tx }, groupId);
  const request = { did: device.did, deviceTag: device.tag, cipherSuite };
  const keyPackage = await claimDeviceKeyPackage(deps, tx, caller, request);
  if (keyPackage === undefined) return { kind: 'unavailable', candidate, by: undefined };
  const claim = { state: 'claimed', by: caller.did, untilMs: deps.clock.nowMs() + limits.deviceClaimMs } as const;
  const sealedClaim = sealClaim(deps.privacy, key, claim);
  await upsertClaim(tx, { addition: key, keyId: deps.privacy.keyId, sealedClaim }, deps.deviceWaitDays);
  const suiteName = required(cipherSuiteName(cipherSuite), 'the name of a stored cipher suite');
  return { kind: 'claimed', candidate, by: caller.did, keyPackage, cipherSuite: suiteName };
}
