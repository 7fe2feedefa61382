import type { Tx } from '#storage/connection/database.ts';
import { updateUsed } from './store.ts';

/** Counts a use of an invite that `findInvite` found under the conversation's lock, which `tx` still holds. */
export async function useInvite(tx: Tx, inviteId: string): Promise<void> {
  await updateUsed(tx, inviteId);
}
