import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { memberStates } from '../member.ts';
import type { Membership } from '../member.ts';
import { memberPseudonym } from './require-member.ts';
import { selectMembershipPairs } from '../store.ts';

/** One person in one conversation. */
export interface Listener {
  readonly groupId: Buffer;
  readonly did: string;
}

/** What a listener may see now; those without an entry may see nothing. Keys are made by `entitlementKey`. */
export type Entitlements = ReadonlyMap<string, Membership>;

export function entitlementKey(groupId: Buffer, did: string): string {
  return `${groupId.toString('hex')} ${did}`;
}

/** Reads the membership of many listeners at once; live delivery asks anew for every batch of events. */
export async function readEntitlements(
  deps: { db: Db; privacy: Privacy },
  listeners: readonly Listener[],
): Promise<Entitlements> {
  const pairs = listeners.map(({ groupId, did }) => ({
    groupId,
    did,
    member: memberPseudonym(deps.privacy, groupId, did),
  }));
  const rows = await selectMembershipPairs(deps.db, {
    groupIds: pairs.map(({ groupId }) => groupId),
    members: pairs.map(({ member }) => member),
  });
  const byMember = new Map(rows.map((row) => [row.member.toString('hex'), row]));
  return new Map(
    pairs.flatMap(({ groupId, did, member }) => {
      const row = byMember.get(member.toString('hex'));
      return row === undefined ? [] : [[entitlementKey(groupId, did), row] as const];
    }),
  );
}

export function isActive(membership: Membership): boolean {
  return membership.state === memberStates.active;
}
