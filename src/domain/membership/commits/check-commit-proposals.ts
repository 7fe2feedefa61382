import type { Leaves } from '#domain/conversations/group-info/leaves.ts';
import { didOfIdentity } from '#domain/conversations/group-info/leaves.ts';
import type { ResolvedProposal } from '#domain/messages/load-proposal-refs.ts';
import type { Handshakes } from '#domain/policies/handshakes.ts';
import { refusalFor } from '#domain/refusal-reasons.ts';
import type { ClearProposal, CommitContent } from '#mls/messages/framing.ts';

/** What a call says that its commit does. */
export type DeclaredChange =
  | { readonly method: 'addMembers'; readonly dids: readonly string[]; readonly newcomers: readonly string[] }
  | { readonly method: 'removeMember'; readonly target: string }
  | { readonly method: 'leaveConvo' | 'commit' };

/** A person on the roster. */
export interface MemberStatus {
  readonly isActive: boolean;
  /** Has lost the group's state and asked, within the last week, to be added anew. */
  readonly asksToBeAdded: boolean;
}

/** Everything that a commit in clear is judged by. */
export interface ProposalCheck {
  readonly caller: string;
  readonly isAdmin: boolean;
  readonly change: DeclaredChange;
  readonly content: CommitContent;
  readonly proposals: readonly ResolvedProposal[];
  /** Every proposal that it refers to is in `proposals`. */
  readonly isComplete: boolean;
  readonly leaves: Leaves | undefined;
  readonly handshakes: Handshakes;
  readonly statusOf: (did: string) => MemberStatus;
}

/**
 * Holds a member's commit in clear against what the call declares, the roster and the policy (RFC 9420 section 12.2 has what MLS itself
 * forbids). Whoever is a member in the MLS group and on the roster must be so after it, except the person that the call removes.
 * @returns the leaf indices that it removes.
 * @throws AppError InvalidCommit with the rule's text.
 */
export function checkCommitProposals(given: ProposalCheck): ReadonlySet<number> {
  judgeCommitter(given);
  if (!given.isComplete && given.handshakes === 'plaintext') throw refusalFor('InvalidCommit', 'unknownReference');
  const added = new Set<string>();
  for (const { shape } of given.proposals) {
    if (shape.type === 'add') added.add(judgeAdd(given, didOfIdentity(shape.identity)));
  }
  const removed = new Set<number>();
  for (const proposal of given.proposals) {
    const { shape } = proposal;
    if (shape.type === 'remove') removed.add(shape.leafIndex);
    else judgeOther(given, proposal);
  }
  for (const proposal of given.proposals) {
    if (proposal.shape.type === 'remove')
      judgeRemove(given, proposal, { leafIndex: proposal.shape.leafIndex, added, removed });
  }
  if (given.isComplete) judgeWhole(given, { added, removed });
  return removed;
}

function judgeCommitter({ caller, content, leaves }: ProposalCheck): void {
  const { path, senderLeafIndex } = content;
  if (path !== undefined && didOfIdentity(path.identity) !== caller) throw refusalFor('InvalidCommit', 'pathIdentity');
  if (leaves !== undefined && leaves[senderLeafIndex]?.did !== caller) throw refusalFor('InvalidCommit', 'senderLeaf');
}

/** Further devices of members, and those whom addMembers names; whoever goes by the call does not come in by its commit. */
function judgeAdd({ caller, change, statusOf }: ProposalCheck, did: string | undefined): string {
  if (did === undefined || !did.startsWith('did:')) throw refusalFor('InvalidCommit', 'addIdentity');
  const isDeclared = change.method === 'addMembers' && change.dids.includes(did);
  const isGoing =
    (change.method === 'removeMember' && did === change.target) || (change.method === 'leaveConvo' && did === caller);
  if (!isDeclared && (isGoing || !statusOf(did).isActive)) throw refusalFor('InvalidCommit', 'addUndeclared');
  return did;
}

function judgeOther({ isAdmin, leaves }: ProposalCheck, { shape, sentIn }: ResolvedProposal): void {
  switch (shape.type) {
    case 'reinit':
    case 'groupContextExtensions':
      if (!isAdmin) throw refusalFor('InvalidCommit', 'adminOnly');
      return;
    case 'update':
      judgeUpdate(leaves, shape.identity, sentIn);
      return;
    case 'externalInit':
      throw refusalFor('InvalidCommit', 'externalCommit');
    case 'add':
    case 'remove':
    case 'psk':
  }
}

/** Only others' Updates are committed, and they leave the credential as it is. */
function judgeUpdate(
  leaves: Leaves | undefined,
  identity: Uint8Array | undefined,
  sentIn: ClearProposal | undefined,
): void {
  if (sentIn?.senderLeafIndex === undefined) throw refusalFor('InvalidCommit', 'updateByValue');
  if (leaves === undefined) return;
  const leaf = leaves[sentIn.senderLeafIndex];
  if (leaf === undefined || leaf.did !== didOfIdentity(identity)) throw refusalFor('InvalidCommit', 'updateIdentity');
}

interface Removal {
  readonly leafIndex: number;
  readonly added: ReadonlySet<string>;
  readonly removed: ReadonlySet<number>;
}

function judgeRemove(given: ProposalCheck, proposal: ResolvedProposal, removal: Removal): void {
  const { content, leaves, change, isAdmin, handshakes } = given;
  if (removal.leafIndex === content.senderLeafIndex) throw refusalFor('InvalidCommit', 'removesCommitter');
  if (leaves === undefined) {
    // Without the leaves an admin is taken at their word where the call declares a removal.
    if (isAdmin && change.method === 'removeMember' && handshakes !== 'plaintext') return;
    throw refusalFor('InvalidCommit', 'unknownLeaves');
  }
  const leaf = leaves[removal.leafIndex];
  if (leaf === undefined) throw refusalFor('InvalidCommit', 'removesUnknown');
  if (!mayRemove({ ...given, leaves }, proposal, { ...removal, did: leaf.did })) {
    throw refusalFor('InvalidCommit', 'removesMember');
  }
}

function mayRemove(
  given: ProposalCheck & { readonly leaves: Leaves },
  { sentIn }: ResolvedProposal,
  removal: Removal & { readonly did: string | undefined },
): boolean {
  const { caller, change, statusOf } = given;
  const { did } = removal;
  if (did === undefined || did === caller) return true;
  if (change.method === 'removeMember' && did === change.target) return true;
  const { isActive, asksToBeAdded } = statusOf(did);
  if (!isActive || isOwnWish(given.leaves, sentIn, { ...removal, did })) return true;
  // Added anew in the same commit, as they asked.
  return change.method === 'addMembers' && change.dids.includes(did) && asksToBeAdded && removal.added.has(did);
}

/** A device that its owner proposed to take out, who keeps another one. */
function isOwnWish(
  leaves: Leaves,
  sentIn: ClearProposal | undefined,
  { did, removed }: Removal & { readonly did: string },
): boolean {
  if (sentIn?.senderLeafIndex === undefined || leaves[sentIn.senderLeafIndex]?.did !== did) return false;
  return leaves.some((leaf, index) => leaf?.did === did && !removed.has(index));
}

/** What can be missing from a commit only if all of it is known. */
function judgeWhole(
  { change, leaves }: ProposalCheck,
  { added, removed }: { added: ReadonlySet<string>; removed: ReadonlySet<number> },
): void {
  if (change.method === 'addMembers' && change.newcomers.some((did) => !added.has(did))) {
    throw refusalFor('InvalidCommit', 'newcomerNotAdded');
  }
  if (change.method !== 'removeMember') return;
  if (leaves === undefined) {
    if (removed.size === 0) throw refusalFor('InvalidCommit', 'removesNobody');
    return;
  }
  const left = leaves.filter((leaf, index) => leaf?.did === change.target && !removed.has(index)).length;
  if (left === 0) return;
  throw refusalFor('InvalidCommit', removed.size === 0 ? 'removesNobody' : 'removesNotAll');
}
