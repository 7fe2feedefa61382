import type { Tx } from '#storage/connection/database.ts';
import { updateUsed } from './store.ts';

/** Counts one use of an invite that `findInvite` returned under the conversation's lock, which `tx` still has. */
export async function useInvite(tx: Tx, inviteId: string): Promise<void> {
  await updateUsed(tx, inviteId);
}
