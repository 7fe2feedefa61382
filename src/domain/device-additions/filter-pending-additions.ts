import { entitlementKey, isActive, readEntitlements } from '#domain/membership/members/read-entitlements.ts';
import { readWelcomedDevices } from '#domain/welcomes/read-welcomed-devices.ts';
import type { Clock } from '#platform/clock.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { additionId, additionKey, openClaim } from './device-addition.ts';
import type { AdditionClaim, Candidate, PendingAddition } from './device-addition.ts';
import { selectClaims } from './store.ts';

/**
 * Reads the stored claims of these additions.
 * @returns for each candidate, in the same order, its claim or undefined.
 */
export async function readClaims(
  deps: { db: Db; privacy: Privacy },
  candidates: readonly Candidate[],
): Promise<(AdditionClaim | undefined)[]> {
  const keys = candidates.map((candidate) => additionKey(deps.privacy, candidate));
  const rows = await selectClaims(deps.db, keys);
  const byKey = new Map(rows.map(({ addition, sealedClaim }) => [addition.toString('hex'), sealedClaim]));
  return keys.map((key) => {
    const sealedClaim = byKey.get(key.toString('hex'));
    return sealedClaim && openClaim(deps.privacy, key, sealedClaim);
  });
}

export interface AdditionDeps {
  readonly db: Db;
  readonly privacy: Privacy;
  readonly clock: Clock;
  readonly deviceWaitDays: number;
}

/**
 * Filters candidates like `filterPendingAdditions`, and leaves out conversations that the device's owner has left since
 * the device registered.
 */
export async function filterPendingOfMembers(
  deps: AdditionDeps,
  candidates: readonly Candidate[],
): Promise<PendingAddition[]> {
  const owners = await readEntitlements(
    deps,
    candidates.map(({ device: { did }, groupId }) => ({ groupId, did })),
  );
  const present = candidates.filter(({ device: { did }, groupId }) => {
    const membership = owners.get(entitlementKey(groupId, did));
    return membership !== undefined && isActive(membership);
  });
  return filterPendingAdditions(deps, present);
}

/** Returns the candidates whose addition is not completed and whose device has no Welcome in the conversation. */
export async function filterPendingAdditions(
  deps: AdditionDeps,
  candidates: readonly Candidate[],
): Promise<PendingAddition[]> {
  if (candidates.length === 0) return [];
  const [claims, welcomed] = await Promise.all([
    readClaims(deps, candidates),
    readWelcomedDevices(
      deps,
      candidates.map(({ device: { did, tag }, groupId }) => ({ groupId, did, tag })),
    ),
  ]);
  const nowMs = deps.clock.nowMs();
  return candidates.flatMap((candidate, index) => {
    const claim = claims[index];
    if (claim?.state === 'completed' || welcomed[index] === true) return [];
    const { device, groupId } = candidate;
    return [
      {
        id: additionId(deps.privacy, candidate),
        groupId,
        did: device.did,
        deviceId: device.deviceId,
        deviceName: device.name,
        claimedBy: claim !== undefined && claim.untilMs > nowMs ? claim.by : undefined,
        createdAt: device.waitingSince,
      },
    ];
  });
}
