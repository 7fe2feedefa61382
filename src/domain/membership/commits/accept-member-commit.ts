import type { Caller } from '#domain/caller.ts';
import type { PreparedGroupInfo } from '#domain/conversations/group-info/group-info.ts';
import type { LockedConversation } from '#domain/conversations/conversation.ts';
import type { Handshakes } from '#domain/policies/handshakes.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import { compareEpoch } from './compare-epoch.ts';
import type { EpochComparison } from './compare-epoch.ts';
import { checkCommit } from './check-commit.ts';
import type { DeclaredChange } from './check-commit-proposals.ts';
import type { Membership } from '../member.ts';
import type { PreparedCommit } from './prepare-commit.ts';

export interface MemberCommit {
  readonly caller: Caller;
  readonly prepared: PreparedCommit | undefined;
  readonly change: DeclaredChange;
  /** The GroupInfo of the epoch after the commit, if the call has one. */
  readonly groupInfo: PreparedGroupInfo | undefined;
}

/**
 * Compares the epoch of a member's commit and then checks its content, under the conversation's lock. A retry of a
 * stored commit skips both checks, because the epoch of the commit has already ended.
 * @returns undefined when the call has no commit.
 * @throws AppError InvalidCommit, EpochMismatch, PolicyViolation.
 */
export async function acceptMemberCommit(
  deps: { readonly privacy: Privacy; readonly handshakes: Handshakes },
  tx: Tx,
  { locked, membership }: { readonly locked: LockedConversation; readonly membership: Membership },
  { caller, prepared, change, groupInfo }: MemberCommit,
): Promise<EpochComparison | undefined> {
  if (prepared === undefined) return undefined;
  if (prepared.kind === 'unreadable') throw prepared.refusal;
  const { commit, facts } = prepared;
  const outcome = await compareEpoch(deps, tx, locked, commit);
  if (outcome.kind === 'accepted') {
    await checkCommit(deps, tx, locked, { caller, membership, commit, facts, change, groupInfo });
  }
  return outcome;
}
