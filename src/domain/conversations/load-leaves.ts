import { readGroupInfo } from '#mls/group-info.ts';
import { MlsFormatError } from '#mls/mls-format-error.ts';
import type { RatchetTree } from '#mls/ratchet-tree.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/database.ts';
import { loadGroupInfo } from './group-info.ts';

/** A leaf of the MLS group; `did` is the identity of its Basic credential, undefined for another credential. */
export interface Leaf {
  readonly did: string | undefined;
}

/** The leaves of an epoch by leaf index; undefined is a blank one. */
export type Leaves = readonly (Leaf | undefined)[];

export function leavesOf({ leaves }: Pick<RatchetTree, 'leaves'>): Leaves {
  return leaves.map((leaf) => leaf && { did: didOfIdentity(leaf.basicIdentity) });
}

/** The text of a Basic credential's identity. */
export function didOfIdentity(identity: Uint8Array | undefined): string | undefined {
  return identity && Buffer.from(identity.buffer, identity.byteOffset, identity.byteLength).toString('utf8');
}

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
