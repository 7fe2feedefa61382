import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { listRosters } from './list-rosters.ts';
import type { ActiveMember } from './list-rosters.ts';

/**
 * Lists the active members of conversations in the order of their joins. The keys of the map are conversation ids
 * (hex).
 */
export async function listActiveMembers(
  deps: { db: Db; privacy: Privacy },
  groupIds: readonly Buffer[],
): Promise<ReadonlyMap<string, readonly ActiveMember[]>> {
  const rosters = await listRosters(deps, groupIds);
  return new Map([...rosters].map(([id, { members }]) => [id, members]));
}
