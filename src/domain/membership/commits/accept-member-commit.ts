import type { Caller } from '#domain/caller.ts';
import type { PreparedGroupInfo } from '#domain/conversations/group-info/group-info.ts';
import type { LockedConversation } from '#domain/conversations/conversation.ts';
import type { Handshakes } from '#domain/policies/handshakes.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import { decideCommit } from './accept-commit.ts';
import type { CommitDecision } from './accept-commit.ts';
import { checkCommit } from './check-commit.ts';
import type { DeclaredChange } from './check-commit-proposals.ts';
import type { Membership } from '../member.ts';
import type { PreparedCommit } from './prepare-commit.ts';

export interface MemberCommit {
  readonly caller: Caller;
  readonly prepared: PreparedCommit | undefined;
  readonly change: DeclaredChange;
  /** The GroupInfo of the epoch after the commit, if one comes with it. */
  readonly groupInfo: PreparedGroupInfo | undefined;
}

/**
 * Decides on a member's commit under the conversation's lock: by the epoch, then by what it holds. A retry of a stored commit is recognised
 * before either.
 * @returns undefined when the call has no commit.
 * @throws AppError InvalidCommit, EpochMismatch, PolicyViolation.
 */
export async function acceptMemberCommit(
  deps: { readonly privacy: Privacy; readonly handshakes: Handshakes },
  tx: Tx,
  { locked, membership }: { readonly locked: LockedConversation; readonly membership: Membership },
  { caller, prepared, change, groupInfo }: MemberCommit,
): Promise<CommitDecision | undefined> {
  if (prepared === undefined) return undefined;
  if (prepared.kind === 'unreadable') throw prepared.refusal;
  const { commit, facts } = prepared;
  const verdict = await decideCommit(deps, tx, locked, commit);
  if (verdict.kind === 'accepted') {
    await checkCommit(deps, tx, locked, { caller, membership, commit, facts, change, groupInfo });
  }
  return verdict;
}
