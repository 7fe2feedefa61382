import type { Leaves } from '#domain/conversations/group-info/leaves.ts';
import { didOfIdentity } from '#domain/conversations/group-info/leaves.ts';
import type { ResolvedProposal } from '#domain/messages/load-proposal-refs.ts';
import type { Handshakes } from '#domain/policies/handshakes.ts';
import { refusalFor } from '#domain/refusal-reasons.ts';
import type { ClearProposal, CommitContent } from '#mls/messages/framing.ts';

/** The change that a call declares, which the proposals of its commit must match. */
export type DeclaredChange =
  | { readonly method: 'addMembers'; readonly dids: readonly string[]; readonly nonMembers: readonly string[] }
  | { readonly method: 'removeMember'; readonly target: string }
  | { readonly method: 'leaveConvo' | 'commit' };

/** The facts of the roster that decide whether a commit may add or remove a person's leaves. */
export interface MemberStatus {
  readonly isActive: boolean;
  /** True from requestRejoin until the person has rejoined, and for seven days after a request for readdition. */
  readonly requestedReaddition: boolean;
}

/** A commit in clear, with the facts that its proposals are checked against. */
export interface ProposalCheck {
  readonly caller: string;
  readonly isAdmin: boolean;
  readonly change: DeclaredChange;
  readonly content: CommitContent;
  readonly proposals: readonly ResolvedProposal[];
  /** Whether `proposals` has every proposal that the commit refers to. */
  readonly isComplete: boolean;
  readonly leaves: Leaves | undefined;
  readonly handshakes: Handshakes;
  readonly statusOf: (did: string) => MemberStatus;
}

/**
 * Checks that a member's commit in clear makes the declared change and no other change of members (RFC 9420 section
 * 12.2 has the rules of MLS itself). Every active member except the target of removeMember must keep at least one leaf.
 * @returns the leaf indices that the commit removes.
 * @throws AppError InvalidCommit with the text of the broken rule.
 */
export function checkCommitProposals(check: ProposalCheck): ReadonlySet<number> {
  checkCommitter(check);
  if (!check.isComplete && check.handshakes === 'plaintext') throw refusalFor('InvalidCommit', 'unknownReference');
  const added = new Set<string>();
  for (const { shape } of check.proposals) {
    if (shape.type === 'add') added.add(checkAdd(check, didOfIdentity(shape.identity)));
  }
  const removed = new Set<number>();
  for (const proposal of check.proposals) {
    const { shape } = proposal;
    if (shape.type === 'remove') removed.add(shape.leafIndex);
    else checkOtherProposal(check, proposal);
  }
  for (const proposal of check.proposals) {
    if (proposal.shape.type === 'remove')
      checkRemove(check, proposal, { leafIndex: proposal.shape.leafIndex, added, removed });
  }
  if (check.isComplete) checkCompleteness(check, { added, removed });
  return removed;
}

function checkCommitter({ caller, content, leaves }: ProposalCheck): void {
  const { path, senderLeafIndex } = content;
  if (path !== undefined && didOfIdentity(path.identity) !== caller) throw refusalFor('InvalidCommit', 'pathIdentity');
  if (leaves !== undefined && leaves[senderLeafIndex]?.did !== caller) throw refusalFor('InvalidCommit', 'senderLeaf');
}

/**
 * Checks that an Add is for an active member who does not leave by this call, or for a person whom addMembers lists.
 */
function checkAdd({ caller, change, statusOf }: ProposalCheck, did: string | undefined): string {
  if (did === undefined || !did.startsWith('did:')) throw refusalFor('InvalidCommit', 'addIdentity');
  const isDeclared = change.method === 'addMembers' && change.dids.includes(did);
  const isLeaving =
    (change.method === 'removeMember' && did === change.target) || (change.method === 'leaveConvo' && did === caller);
  if (!isDeclared && (isLeaving || !statusOf(did).isActive)) throw refusalFor('InvalidCommit', 'addUndeclared');
  return did;
}

function checkOtherProposal({ isAdmin, leaves }: ProposalCheck, { shape, sentIn }: ResolvedProposal): void {
  switch (shape.type) {
    case 'reinit':
    case 'groupContextExtensions':
      if (!isAdmin) throw refusalFor('InvalidCommit', 'adminOnly');
      return;
    case 'update':
      checkUpdate(leaves, shape.identity, sentIn);
      return;
    case 'externalInit':
      throw refusalFor('InvalidCommit', 'externalCommit');
    case 'add':
    case 'remove':
    case 'psk':
  }
}

/**
 * Checks that an Update keeps the leaf's DID and was sent as a separate proposal, because a commit must not contain an
 * Update by its own sender (RFC 9420 section 12.2).
 */
function checkUpdate(
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

function checkRemove(check: ProposalCheck, proposal: ResolvedProposal, removal: Removal): void {
  const { content, leaves, change, isAdmin, handshakes } = check;
  if (removal.leafIndex === content.senderLeafIndex) throw refusalFor('InvalidCommit', 'removesCommitter');
  if (leaves === undefined) {
    // Without the leaves, the service cannot check whose leaf a Remove names. An admin's removeMember is then accepted,
    // unless plaintext handshakes are required.
    if (isAdmin && change.method === 'removeMember' && handshakes !== 'plaintext') return;
    throw refusalFor('InvalidCommit', 'unknownLeaves');
  }
  const leaf = leaves[removal.leafIndex];
  if (leaf === undefined) throw refusalFor('InvalidCommit', 'removesUnknown');
  if (!mayRemove({ ...check, leaves }, proposal, { ...removal, did: leaf.did })) {
    throw refusalFor('InvalidCommit', 'removesMember');
  }
}

function mayRemove(
  check: ProposalCheck & { readonly leaves: Leaves },
  { sentIn }: ResolvedProposal,
  removal: Removal & { readonly did: string | undefined },
): boolean {
  const { caller, change, statusOf } = check;
  const { did } = removal;
  if (did === undefined || did === caller) return true;
  if (change.method === 'removeMember' && did === change.target) return true;
  const { isActive, requestedReaddition } = statusOf(did);
  if (!isActive || isProposedByOwner(check.leaves, sentIn, { ...removal, did })) return true;
  // A commit may remove and add a person who requested readdition, because the person lost the state of the old leaf.
  return change.method === 'addMembers' && change.dids.includes(did) && requestedReaddition && removal.added.has(did);
}

/** Returns whether the leaf's owner sent the Remove proposal and keeps another leaf in the group. */
function isProposedByOwner(
  leaves: Leaves,
  sentIn: ClearProposal | undefined,
  { did, removed }: Removal & { readonly did: string },
): boolean {
  if (sentIn?.senderLeafIndex === undefined || leaves[sentIn.senderLeafIndex]?.did !== did) return false;
  return leaves.some((leaf, index) => leaf?.did === did && !removed.has(index));
}

/**
 * Checks that the commit has every Add and Remove that the call declares. Call it only if every proposal is known,
 * because an unknown proposal may be the declared one.
 */
function checkCompleteness(
  { change, leaves }: ProposalCheck,
  { added, removed }: { added: ReadonlySet<string>; removed: ReadonlySet<number> },
): void {
  if (change.method === 'addMembers' && change.nonMembers.some((did) => !added.has(did))) {
    throw refusalFor('InvalidCommit', 'listedMemberNotAdded');
  }
  if (change.method !== 'removeMember') return;
  if (leaves === undefined) {
    if (removed.size === 0) throw refusalFor('InvalidCommit', 'targetNotRemoved');
    return;
  }
  const remaining = leaves.filter((leaf, index) => leaf?.did === change.target && !removed.has(index)).length;
  if (remaining === 0) return;
  throw refusalFor('InvalidCommit', removed.size === 0 ? 'targetNotRemoved' : 'targetPartlyRemoved');
}
