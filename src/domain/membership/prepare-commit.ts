import type { Caller } from '#domain/caller.ts';
import { loadLeaves } from '#domain/conversations/load-leaves.ts';
import type { Leaves } from '#domain/conversations/leaves.ts';
import { readCipherSuite } from '#domain/conversations/read-cipher-suite.ts';
import { loadProposals } from '#domain/messages/store-proposal.ts';
import { cipherSuite } from '#mls/cipher-suites.ts';
import { proposalRef, readClearProposal } from '#mls/framing.ts';
import type { ClearProposal } from '#mls/framing.ts';
import { isAppError } from '#platform/errors.ts';
import type { AppError } from '#platform/errors.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/database.ts';
import { parseMemberCommit } from './accept-commit.ts';
import type { FramedMemberCommit } from './accept-commit.ts';
import { findActiveMember } from './find-active-member.ts';

/** What the service knows of the epoch that a commit in clear ends. */
export interface CommitFacts {
  /** Undefined when no GroupInfo of the epoch is stored. */
  readonly leaves: Leaves | undefined;
  /** Proposals that were sent in clear, by the hex of their ProposalRef. */
  readonly proposals: ReadonlyMap<string, ClearProposal>;
  /** The number of the last of them. */
  readonly upToSeq: number;
}

/** A commit of a call, read before the conversation's lock is taken. */
export type PreparedCommit =
  | { readonly kind: 'read'; readonly commit: FramedMemberCommit; readonly facts: CommitFacts }
  /** It is no commit of this group; whether the caller may hear that is found out under the lock. */
  | { readonly kind: 'unreadable'; readonly refusal: AppError };

interface FactsDeps {
  readonly db: Db;
  readonly privacy: Privacy;
}

const noFacts: CommitFacts = { leaves: undefined, proposals: new Map(), upToSeq: 0 };

/**
 * Reads a member's commit and, where it is in clear, what it is judged by. This comes before the conversation's lock, because opening
 * a large GroupInfo takes time; `completeFacts` adds, under the lock, what came between. Nothing is loaded for people who are no members.
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
  return completeFacts(deps, groupId, commit, { ...noFacts, leaves });
}

/** `facts` with the proposals that were stored since; exact when `deps.db` is a transaction that holds the conversation's lock. */
export async function completeFacts(
  deps: FactsDeps,
  groupId: Buffer,
  commit: FramedMemberCommit,
  facts: CommitFacts,
): Promise<CommitFacts> {
  const refersToSome = commit.content?.proposals.some(({ type }) => type === 'reference') === true;
  if (!refersToSome) return facts;
  const suite = cipherSuite(await readCipherSuite(deps, groupId));
  if (suite === undefined) return facts;
  const stored = await loadProposals(deps, groupId, { epoch: commit.epoch, afterSeq: facts.upToSeq });
  const proposals = new Map(facts.proposals);
  for (const { padded } of stored) {
    const proposal = readClearProposal(padded);
    proposals.set(Buffer.from(proposalRef(proposal, suite.hash)).toString('hex'), proposal);
  }
  return { ...facts, proposals, upToSeq: stored.at(-1)?.seq ?? facts.upToSeq };
}
