import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { memberStates } from '../member.ts';
import { selectRosters } from '../store.ts';

export interface ActiveMember {
  readonly did: string;
  readonly role: number;
  readonly joinedAt: Date;
  /** The number of the first message that the member may fetch. */
  readonly joinedSeq: number;
  /**
   * The time of the promotion to the present role; undefined if the person joined with this role or is an ordinary
   * member.
   */
  readonly promotedAt: Date | undefined;
}

export interface Roster {
  readonly members: ActiveMember[];
  /** DIDs of people who left or were removed, but whose leaves are still in the MLS group. */
  readonly needsRemovalCommit: string[];
}

/**
 * Lists rosters by conversation id (hex). Members are in the order of their joins, and those who joined together are in
 * the order of their pseudonyms.
 */
export async function listRosters(
  deps: { db: Db; privacy: Privacy },
  groupIds: readonly Buffer[],
): Promise<ReadonlyMap<string, Roster>> {
  const rosters = new Map<string, Roster>();
  for (const row of await selectRosters(deps.db, groupIds)) {
    const id = row.groupId.toString('hex');
    const did = deps.privacy.unsealText('member-did', [row.groupId, row.member], row.sealedDid);
    const roster = rosters.get(id) ?? { members: [], needsRemovalCommit: [] };
    rosters.set(id, roster);
    const { role, joinedAt, joinedSeq, promotedAt } = row;
    if (row.state === memberStates.active) {
      roster.members.push({ did, role, joinedAt, joinedSeq, promotedAt: promotedAt ?? undefined });
    } else roster.needsRemovalCommit.push(did);
  }
  return rosters;
}
