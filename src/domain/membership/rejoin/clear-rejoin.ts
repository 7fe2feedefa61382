import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { memberPseudonym } from '../members/member-pseudonym.ts';
import { updateNeedsRejoin } from '../store.ts';

/** Clears the caller's request for readdition, because they are in the MLS group again. */
export async function clearRejoin(deps: { db: Db; privacy: Privacy }, caller: Caller, groupId: Buffer): Promise<void> {
  const member = memberPseudonym(deps.privacy, groupId, caller.did);
  await updateNeedsRejoin(deps.db, groupId, { member, needsRejoin: false });
}
