import type { CommitEffect } from '../mls/mls-engine.ts';

/** Members of a conversation as the service has them. */
export interface Roster {
  readonly epoch: number;
  readonly members: ReadonlySet<string>;
  readonly admins: ReadonlySet<string>;
  /** People who were members, and whose leaves are still in the group. */
  readonly departed: ReadonlySet<string>;
}

/** What the commits between the checked one and the epoch of the roster did. */
export interface LaterCommits {
  /** DIDs of leaves that they added. */
  readonly addedDids: ReadonlySet<string>;
  /** DIDs in the group after them. */
  readonly memberDids: ReadonlySet<string>;
}

/**
 * Why a commit is refused: it removed a person who is still a member, added a person who is not, or gave a leaf another person's DID; and the
 * committer is no admin.
 */
export type CommitRefusalReason = 'removes-member' | 'adds-non-member' | 'changes-credential';

/** Whether the roster is needed to check the commit: it removed a leaf of another person, or added a person. */
export function needsRoster(effect: CommitEffect): boolean {
  return effect.newDids.length > 0 || removedByOthers(effect).length > 0;
}

/**
 * Checks a commit as docs/commits.md says.
 * @param roster undefined when the person of this device is not a member any more, or the roster is not needed.
 * @param later undefined when the roster is of the epoch of the commit.
 * @returns undefined when the commit is allowed.
 */
export function checkCommit(
  effect: CommitEffect,
  roster: Roster | undefined,
  later: LaterCommits | undefined,
): CommitRefusalReason | undefined {
  // The service refuses this for every role, and no change of keys needs it.
  if (effect.changesCredential) return 'changes-credential';
  if (roster === undefined || roster.admins.has(effect.committerDid)) return undefined;
  // A person who came back since has a leaf that a later commit added.
  const isStillMember = (did: string): boolean => roster.members.has(did) && later?.addedDids.has(did) !== true;
  if (removedByOthers(effect).some(isStillMember)) return 'removes-member';
  // A person who left since is listed until their leaves are removed.
  const wasMember = (did: string): boolean =>
    roster.members.has(did) || roster.departed.has(did) || later?.memberDids.has(did) === false;
  return effect.newDids.every(wasMember) ? undefined : 'adds-non-member';
}

/** People of whom a leaf was removed by another person, who did not add them again in the same commit. */
function removedByOthers({ committerDid, addedDids, removed }: CommitEffect): string[] {
  return removed
    .filter(({ did, proposerDid }) => did !== committerDid && did !== proposerDid && !addedDids.includes(did))
    .map(({ did }) => did);
}
