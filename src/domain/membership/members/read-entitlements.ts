import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { memberStates } from '../member.ts';
import type { Membership } from '../member.ts';
import { memberPseudonym } from './member-pseudonym.ts';
import { selectMembershipPairs } from '../store.ts';

/** A person who subscribes to a conversation. */
export interface Listener {
  readonly groupId: Buffer;
  readonly did: string;
}

/** The part of a membership that decides which events a person may read. */
export type Entitlement = Pick<Membership, 'joinedEvent' | 'leftEvent'>;

/**
 * Memberships of listeners by `entitlementKey`. A listener without an entry was never a member and may read no event.
 */
export type Entitlements = ReadonlyMap<string, Membership>;

/** Makes the key under which `Entitlements` has a person's membership in a conversation. */
export function entitlementKey(groupId: Buffer, did: string): string {
  return `${groupId.toString('hex')} ${did}`;
}

/** Reads the memberships of many listeners in one query; in none if there are no listeners. */
export async function readEntitlements(
  deps: { db: Db; privacy: Privacy },
  listeners: readonly Listener[],
): Promise<Entitlements> {
  if (listeners.length === 0) return new Map();
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
