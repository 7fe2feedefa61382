import type { Tx } from '#storage/connection/database.ts';
import { countActiveMembers } from '../store.ts';

/**
 * Counts the active members. `tx` must hold the conversation's lock, so that the number cannot change before `tx` ends.
 */
export async function countMembers(tx: Tx, groupId: Buffer): Promise<number> {
  return countActiveMembers(tx, groupId);
}
