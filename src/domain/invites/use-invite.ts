import type { Tx } from '#storage/connection/database.ts';
import { updateUsed } from './store.ts';

/**
 * Counts one use of an invite. `tx` must still have the conversation's lock under which `findInvite` returned the
 * invite.
 */
export async function useInvite(tx: Tx, inviteId: string): Promise<void> {
  await updateUsed(tx, inviteId);
}
