import { readGroupInfo } from '#mls/group-info.ts';
import { MlsFormatError } from '#mls/mls-format-error.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/database.ts';
import { loadGroupInfo } from './group-info.ts';
import { leavesOf } from './leaves.ts';
import type { Leaves } from './leaves.ts';

/** Whose leaves the group has in `epoch`, from the GroupInfo that is stored for it; undefined when there is none of that epoch. */
export async function loadLeaves(
  deps: { db: Db; privacy: Privacy },
  groupId: Buffer,
  epoch: number,
): Promise<Leaves | undefined> {
  const stored = await loadGroupInfo(deps, groupId);
  if (stored === undefined || stored.epoch !== epoch) return undefined;
  try {
    return leavesOf(readGroupInfo(stored.bytes).tree);
  } catch (error) {
    // One that was stored before GroupInfos were checked.
    if (error instanceof MlsFormatError) return undefined;
    throw error;
  }
}
