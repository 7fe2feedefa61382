import type { Tx } from '#storage/connection/database.ts';
import { countActiveMembers } from '../store.ts';

/** Counts the active members; `tx` holds the conversation's lock. */
export async function countMembers(tx: Tx, groupId: Buffer): Promise<number> {
  return countActiveMembers(tx, groupId);
}
