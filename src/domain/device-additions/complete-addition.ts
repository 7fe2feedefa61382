import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import type { Clock } from '#platform/clock.ts';
import { isAppError } from '#platform/errors.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { sealClaim } from './device-addition.ts';
import { lockAddition } from './lock-addition.ts';
import type { LockedAddition } from './lock-addition.ts';
import { readClaims } from './filter-pending-additions.ts';
import { upsertClaim } from './store.ts';

/** The result of completing an addition. The lexicon returns these refusals in the response body and not as errors. */
export type Completion = 'completed' | 'PendingAdditionNotFound' | 'InvalidStatus:pending' | 'InvalidStatus:completed';

/**
 * Completes an addition that the caller claimed, even after the 60 seconds if no other member has claimed it. A
 * repeated call gets the first result.
 * @throws AppError NotClaimed when another member has the claim.
 */
export async function completeAddition(
  deps: { db: Db; privacy: Privacy; clock: Clock; deviceWaitDays: number },
  caller: Caller,
  id: string,
): Promise<Completion> {
  return deps.db.transaction().execute(async (tx): Promise<Completion> => {
    const addition = await lockAdditionOfMember(deps, tx, caller, id);
    if (addition === undefined) return 'PendingAdditionNotFound';
    const { key, candidate } = addition;
    const [claim] = await readClaims({ ...deps, db: tx }, [candidate]);
    const isOwn = claim?.by === caller.did;
    if (claim?.state === 'completed') return isOwn ? 'completed' : 'InvalidStatus:completed';
    if (claim === undefined || (!isOwn && claim.untilMs <= deps.clock.nowMs())) return 'InvalidStatus:pending';
    if (!isOwn) throw domainError('NotClaimed');
    const sealedClaim = sealClaim(deps.privacy, key, { ...claim, state: 'completed' });
    await upsertClaim(tx, { addition: key, keyId: deps.privacy.keyId, sealedClaim }, deps.deviceWaitDays);
    return 'completed';
  });
}

/**
 * Locks an addition as `lockAddition` does, but returns undefined for removed members, because the lexicon has no
 * NotMember for this method.
 */
async function lockAdditionOfMember(
  deps: { privacy: Privacy; deviceWaitDays: number },
  tx: Tx,
  caller: Caller,
  id: string,
): Promise<LockedAddition | undefined> {
  try {
    return await lockAddition(deps, tx, caller, id);
  } catch (error) {
    if (isAppError(error) && error.code === 'NotMember') return undefined;
    throw error;
  }
}
