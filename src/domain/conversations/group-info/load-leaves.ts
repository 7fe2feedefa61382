import { loadProposalRefs, resolveProposals } from '#domain/messages/load-proposal-refs.ts';
import { loadCommits } from '#domain/messages/store-commit.ts';
import { readCommit } from '#mls/messages/framing.ts';
import type { CommitFraming } from '#mls/messages/framing.ts';
import { readGroupInfo } from '#mls/group-info/group-info.ts';
import { MlsFormatError } from '#mls/encoding/mls-format-error.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { loadLastGroupInfo } from './group-info.ts';
import { applyToLeaves, changeOf, didOfIdentity, leavesOf } from './leaves.ts';
import type { LeafChange, Leaves } from './leaves.ts';

interface LeavesDeps {
  readonly db: Db;
  readonly privacy: Privacy;
}

/** The maximum number of commits that are applied to a stored GroupInfo, so that the cost is bounded. */
const commitsMax = 32;

/**
 * Loads the leaves of `epoch` from the last stored GroupInfo and the commits after it. Call it before taking a lock,
 * because unsealing takes time.
 * @returns undefined when no readable GroupInfo is stored, more than 32 commits came after it, or one of the commits or
 *   their proposals is missing or encrypted.
 */
export async function loadLeaves(deps: LeavesDeps, groupId: Buffer, epoch: number): Promise<Leaves | undefined> {
  const stored = await loadLastGroupInfo(deps, groupId);
  if (stored === undefined || stored.epoch > epoch || epoch - stored.epoch > commitsMax) return undefined;
  try {
    const leaves = leavesOf(readGroupInfo(stored.bytes).tree);
    return await followCommits(deps, groupId, { leaves, from: stored.epoch, to: epoch });
  } catch (error) {
    // An early release stored GroupInfos without a check, so a stored GroupInfo may be unreadable.
    if (error instanceof MlsFormatError) return undefined;
    throw error;
  }
}

async function followCommits(
  deps: LeavesDeps,
  groupId: Buffer,
  { leaves, from, to }: { leaves: Leaves; from: number; to: number },
): Promise<Leaves | undefined> {
  if (from === to) return leaves;
  const commits = await loadCommits(deps, groupId, { fromEpoch: from + 1, toEpoch: to });
  if (commits.length !== to - from) return undefined;
  let followed = leaves;
  for (const bytes of commits) {
    const change = await changeOfCommit(deps, groupId, readCommit(bytes));
    if (change === undefined) return undefined;
    followed = applyToLeaves(followed, change);
  }
  return followed;
}

async function changeOfCommit(
  deps: LeavesDeps,
  groupId: Buffer,
  { epoch, joiner, content }: CommitFraming,
): Promise<LeafChange | undefined> {
  if (joiner !== undefined) {
    const removed = new Set(joiner.removedLeafIndex === undefined ? [] : [joiner.removedLeafIndex]);
    return { removed, added: [didOfIdentity(joiner.identity)] };
  }
  if (content === undefined) return undefined;
  const known = await loadProposalRefs(deps, groupId, { epoch, content });
  const { proposals, isComplete } = resolveProposals(content, known);
  return isComplete ? changeOf(proposals.map(({ shape }) => shape)) : undefined;
}
