import type { Db, Tx } from '#storage/connection/database.ts';
import { countActiveMembers, countMembersOf } from '../store.ts';

/**
 * Counts the active members. `tx` must hold the conversation's lock, so that the number cannot change before `tx` ends.
 */
export async function countMembers(tx: Tx, groupId: Buffer): Promise<number> {
  return countActiveMembers(tx, groupId);
}

/**
 * Cuts a list of conversations after the one with which the conversations have `membersMax` active members or more in
 * total.
 */
export async function cutToMembers(
  db: Db,
  groupIds: readonly Buffer[],
  membersMax: number,
): Promise<readonly Buffer[]> {
  const counts = await countMembersOf(db, groupIds);
  let members = 0;
  const end = groupIds.findIndex((groupId) => {
    members += counts.get(groupId.toString('hex')) ?? 0;
    return members >= membersMax;
  });
  return end === -1 ? groupIds : groupIds.slice(0, end + 1);
}
