import type { ClientState, IncomingMessageCallback, LeafNode, MLSMessage } from 'ts-mls';
import type { CommitEffect, RemovedLeaf } from './mls-engine.ts';

type GroupMessage = Extract<MLSMessage, { wireformat: 'mls_private_message' | 'mls_public_message' }>;
type SeenCommit = Extract<Parameters<IncomingMessageCallback>[0], { kind: 'commit' }>;
type Tree = ClientState['ratchetTree'];

/** Sees what ts-mls does with one message. */
export interface CommitObserver {
  /** The action that ts-mls calls when it has verified the signature, before it computes the next epoch. */
  readonly action: IncomingMessageCallback;
  /** @throws the error, unless the message is a commit that removes the leaf of this device. */
  readonly ignoreAfterRemoval: (error: unknown) => undefined;
  /** What the commit did. @throws TypeError when the message is no commit. */
  effectIn(newState: ClientState): CommitEffect;
}

export function observeCommit(state: ClientState, message: GroupMessage): CommitObserver {
  let seen: SeenCommit | undefined;
  const removedIndices = (): number[] =>
    (seen?.proposals ?? []).flatMap(({ proposal }) =>
      proposal.proposalType === 'remove' ? [proposal.remove.removed] : [],
    );
  return {
    action: (incoming) => {
      if (incoming.kind === 'commit') seen = incoming;
      return 'accept';
    },
    ignoreAfterRemoval: (error) => {
      if (!removedIndices().includes(state.privatePath.leafIndex)) throw error;
      return undefined;
    },
    effectIn: (newState) => {
      if (seen === undefined) throw new TypeError('the message is no commit');
      return {
        ...proposedEffect(state, message, seen),
        changesCredential: changesCredential(state.ratchetTree, newState.ratchetTree, removedIndices()),
      };
    },
  };
}

function proposedEffect(
  { ratchetTree }: ClientState,
  message: GroupMessage,
  { senderLeafIndex, proposals }: SeenCommit,
): Omit<CommitEffect, 'changesCredential'> {
  const committerDid = senderLeafIndex === undefined ? joinerOf(message) : didAt(ratchetTree, senderLeafIndex);
  const removed = proposals.flatMap(({ proposal, senderLeafIndex: proposer }): RemovedLeaf[] => {
    if (proposal.proposalType !== 'remove') return [];
    const proposerDid = proposer === undefined ? joinerOf(message) : didAt(ratchetTree, proposer);
    return [{ did: didAt(ratchetTree, proposal.remove.removed), proposerDid }];
  });
  const added = proposals.flatMap(({ proposal }) =>
    proposal.proposalType === 'add' ? [didOf(proposal.add.keyPackage.leafNode)] : [],
  );
  const known = new Set(ratchetTree.flatMap((node) => (node?.nodeType === 'leaf' ? [didOf(node.leaf)] : [])));
  const addedDids = [...new Set(senderLeafIndex === undefined ? [...added, committerDid] : added)];
  return { committerDid, addedDids, newDids: addedDids.filter((did) => !known.has(did)), removed };
}

/** The person who joins by an external commit, which is always in clear (RFC 9420, 12.4.3.2); empty for other messages. */
function joinerOf(message: GroupMessage): string {
  const content = message.wireformat === 'mls_public_message' ? message.publicMessage.content : undefined;
  if (content?.contentType !== 'commit' || content.sender.senderType !== 'new_member_commit') return '';
  const { path } = content.commit;
  return path === undefined ? '' : didOf(path.leafNode);
}

/** Whether a leaf that stays has another DID than before. */
function changesCredential(before: Tree, after: Tree, removed: readonly number[]): boolean {
  return before.some(
    (node, nodeIndex) =>
      node?.nodeType === 'leaf' && !removed.includes(nodeIndex / 2) && didOf(node.leaf) !== didAt(after, nodeIndex / 2),
  );
}

/**
 * The state without the proposals that this device must not commit: the others would refuse the commit. What remains are Removes that the
 * owner of the leaf proposed, Adds of people who are in the group, and all other kinds.
 */
export function withoutForbiddenProposals(state: ClientState): ClientState {
  const { ratchetTree, unappliedProposals } = state;
  const known = new Set(ratchetTree.flatMap((node) => (node?.nodeType === 'leaf' ? [didOf(node.leaf)] : [])));
  const kept = Object.entries(unappliedProposals).filter(([, { proposal, senderLeafIndex }]) => {
    if (proposal.proposalType === 'add') return known.has(didOf(proposal.add.keyPackage.leafNode));
    if (proposal.proposalType !== 'remove') return true;
    return (
      senderLeafIndex !== undefined &&
      didAt(ratchetTree, senderLeafIndex) === didAt(ratchetTree, proposal.remove.removed)
    );
  });
  return { ...state, unappliedProposals: Object.fromEntries(kept) };
}

function didAt(tree: Tree, leafIndex: number): string {
  const node = tree[leafIndex * 2];
  return node?.nodeType === 'leaf' ? didOf(node.leaf) : '';
}

/** DID of a leaf; empty when its credential is not a basic one. */
export function didOf({ credential }: LeafNode): string {
  return credential.credentialType === 'basic' ? new TextDecoder().decode(credential.identity) : '';
}
