import { readCipherSuite } from '#domain/conversations/read-cipher-suite.ts';
import { cipherSuite } from '#mls/cipher-suites.ts';
import { proposalRef, readClearProposal } from '#mls/messages/framing.ts';
import type { ClearProposal, CommitContent } from '#mls/messages/framing.ts';
import type { ProposalShape } from '#mls/messages/handshake-structure.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { loadProposals } from './store-proposal.ts';

/** Proposals of one epoch that were sent in clear, by the hex of their ProposalRef. */
export interface KnownProposals {
  readonly byRef: ReadonlyMap<string, ClearProposal>;
  /** The `seq` of the last of them. */
  readonly upToSeq: number;
}

export const noProposals: KnownProposals = { byRef: new Map(), upToSeq: 0 };

/**
 * Adds to `known` the proposals of the commit's epoch that were stored since, if the commit refers to any proposal. The
 * result is complete when `deps.db` is a transaction that holds the conversation's lock, or when the epoch has ended.
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

/** A proposal of a commit; `sentIn` is the message that carried it, undefined for a proposal by value. */
export interface ResolvedProposal {
  readonly shape: ProposalShape;
  readonly sentIn: ClearProposal | undefined;
}

/** Resolves a commit's proposals; `isComplete` is false when the commit refers to a proposal that is not in `byRef`. */
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
