import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { memberStates } from '../member.ts';
import type { Membership } from '../member.ts';
import { memberPseudonym } from './member-pseudonym.ts';
import { selectMembershipPairs } from '../store.ts';

/** One person who subscribes to one conversation. */
export interface Listener {
  readonly groupId: Buffer;
  readonly did: string;
}

/** Memberships by `entitlementKey`; a listener without an entry may read no event. */
export type Entitlements = ReadonlyMap<string, Membership>;

/** The key of a person in a conversation in `Entitlements`. */
export function entitlementKey(groupId: Buffer, did: string): string {
  return `${groupId.toString('hex')} ${did}`;
}

/** Reads the memberships of many listeners in one query; live delivery reads them again for every batch of events. */
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
