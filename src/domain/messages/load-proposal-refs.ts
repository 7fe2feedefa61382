import { readCipherSuite } from '#domain/conversations/read-cipher-suite.ts';
import { cipherSuite } from '#mls/cipher-suites.ts';
import { proposalRef, readClearProposal } from '#mls/messages/framing.ts';
import type { ClearProposal, CommitContent } from '#mls/messages/framing.ts';
import type { ProposalShape } from '#mls/messages/handshake-structure.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { loadProposals } from './store-proposal.ts';

/** The proposals of one epoch that were sent in clear, by ProposalRef (hex). */
export interface KnownProposals {
  readonly byRef: ReadonlyMap<string, ClearProposal>;
  /** The `seq` of the last proposal in `byRef`; 0 if there is none. */
  readonly upToSeq: number;
}

export const noProposals: KnownProposals = { byRef: new Map(), upToSeq: 0 };

/**
 * Adds the proposals that were stored after `known` was loaded, if the commit refers to proposals. The result is
 * complete only if the epoch has ended or `deps.db` is a transaction that holds the conversation's lock.
 */
export async function loadProposalRefs(
  deps: { readonly db: Db; readonly privacy: Privacy },
  groupId: Buffer,
  commit: { readonly epoch: number; readonly content: CommitContent | undefined },
  known: KnownProposals = noProposals,
): Promise<KnownProposals> {
  const hasReference = commit.content?.proposals.some(({ type }) => type === 'reference') === true;
  if (!hasReference) return known;
  const suite = cipherSuite(await readCipherSuite(deps, groupId));
  if (suite === undefined) return known;
  const stored = await loadProposals(deps, groupId, { epoch: commit.epoch, afterSeq: known.upToSeq });
  const byRef = new Map(known.byRef);
  for (const { padded } of stored) {
    const proposal = readClearProposal(padded);
    byRef.set(Buffer.from(proposalRef(proposal, suite.hash)).toString('hex'), proposal);
  }
  return { byRef, upToSeq: stored.at(-1)?.seq ?? known.upToSeq };
}

/** A proposal that a commit contains or refers to. */
export interface ResolvedProposal {
  readonly shape: ProposalShape;
  /** The message in which the proposal was sent; undefined for a proposal by value. */
  readonly sentIn: ClearProposal | undefined;
}

/**
 * Replaces each reference in a commit by the proposal to which it refers.
 * @returns `isComplete` false when the commit refers to a proposal that is not in `byRef`.
 */
export function resolveProposals(
  content: CommitContent,
  { byRef }: KnownProposals,
): { proposals: readonly ResolvedProposal[]; isComplete: boolean } {
  const proposals: ResolvedProposal[] = [];
  let isComplete = true;
  for (const shape of content.proposals) {
    if (shape.type !== 'reference') {
      proposals.push({ shape, sentIn: undefined });
      continue;
    }
    const sentIn = byRef.get(Buffer.from(shape.ref).toString('hex'));
    if (sentIn === undefined) isComplete = false;
    else proposals.push({ shape: sentIn.proposal, sentIn });
  }
  return { proposals, isComplete };
}
