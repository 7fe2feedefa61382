import type { Caller } from '#domain/caller.ts';
import { loadLeaves } from '#domain/conversations/group-info/load-leaves.ts';
import type { Leaves } from '#domain/conversations/group-info/leaves.ts';
import { loadProposalRefs, noProposals } from '#domain/messages/load-proposal-refs.ts';
import type { KnownProposals } from '#domain/messages/load-proposal-refs.ts';
import { isAppError } from '#platform/errors.ts';
import type { AppError } from '#platform/errors.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { parseMemberCommit } from './parse-commit.ts';
import type { FramedMemberCommit } from './parse-commit.ts';
import { findActiveMember } from '../members/find-active-member.ts';

/** The stored leaves and proposals of the epoch that a commit in clear ends, for checking the commit. */
export interface CommitFacts {
  /** Undefined when `loadLeaves` cannot determine them. */
  readonly leaves: Leaves | undefined;
  /** The proposals that were stored before the lock was taken; later proposals are loaded under the lock. */
  readonly known: KnownProposals;
}

/** The result of reading a call's commit before the conversation's lock is taken. */
export type PreparedCommit =
  | { readonly kind: 'read'; readonly commit: FramedMemberCommit; readonly facts: CommitFacts }
  /**
   * The bytes are not a commit of this group. The refusal is thrown after the membership check, so that non-members
   * cannot see it.
   */
  | { readonly kind: 'unreadable'; readonly refusal: AppError };

interface FactsDeps {
  readonly db: Db;
  readonly privacy: Privacy;
}

const noFacts: CommitFacts = { leaves: undefined, known: noProposals };

/**
 * Reads a member's commit and, if it is in clear and the caller is a member, loads the leaves and proposals to check it
 * against. Call it before taking the conversation's lock, because unsealing a large GroupInfo takes time.
 */
export async function prepareCommit(
  deps: FactsDeps,
  caller: Caller,
  groupId: Buffer,
  bytes: Buffer | undefined,
): Promise<PreparedCommit | undefined> {
  if (bytes === undefined) return undefined;
  try {
    const commit = parseMemberCommit(bytes, groupId);
    return { kind: 'read', commit, facts: await loadFacts(deps, caller, groupId, commit) };
  } catch (error) {
    if (isAppError(error)) return { kind: 'unreadable', refusal: error };
    throw error;
  }
}

async function loadFacts(
  deps: FactsDeps,
  caller: Caller,
  groupId: Buffer,
  commit: FramedMemberCommit,
): Promise<CommitFacts> {
  if (commit.content === undefined) return noFacts;
  if ((await findActiveMember(deps, groupId, caller.did)) === undefined) return noFacts;
  const leaves = await loadLeaves(deps, groupId, commit.epoch);
  return { leaves, known: await loadProposalRefs(deps, groupId, commit) };
}
