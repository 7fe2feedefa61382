import type { Caller } from '#domain/caller.ts';
import { loadLeaves } from '#domain/conversations/group-info/load-leaves.ts';
import type { Leaves } from '#domain/conversations/group-info/leaves.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { eventKinds } from '#domain/events/event.ts';
import { recordEvents } from '#domain/events/record-events.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import { handshakesInForce } from '#domain/policies/handshakes.ts';
import type { Handshakes } from '#domain/policies/handshakes.ts';
import { loadPolicy } from '#domain/policies/load-policy.ts';
import { refusalFor } from '#domain/refusal-reasons.ts';
import type { ClearProposal } from '#mls/messages/framing.ts';
import { limits } from '#platform/limits.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import type { SentMessage } from './message.ts';
import { countProposals, storeProposal } from './store-proposal.ts';
import { selectByMsgId } from './store.ts';

export interface ProposalDeps {
  readonly db: Db;
  readonly privacy: Privacy;
  readonly timeBucketSeconds: number;
  /** The handshake form that the operator requires in all conversations; `any` requires none. */
  readonly handshakes: Handshakes;
  /** Called after the database commit, to notify subscribers. */
  readonly onEvents: () => void;
}

export interface ProposalToSend {
  readonly groupId: Buffer;
  readonly msgId: string;
  readonly padded: Buffer;
  readonly proposal: ClearProposal;
}

/**
 * Stores a proposal that was sent as a PublicMessage with the conversation's next `seq`, or returns the first result
 * for a msgId that is already stored. The conversation's lock keeps `seq`, the epoch and the number of proposals exact.
 * @throws AppError ConvoNotFound, NotMember, EpochMismatch, InvalidAsset, PolicyViolation.
 */
export async function sendProposal(deps: ProposalDeps, caller: Caller, input: ProposalToSend): Promise<SentMessage> {
  const { groupId, proposal } = input;
  // The leaves are loaded before the lock is taken, because unsealing a large GroupInfo takes time.
  await requireMember(deps, caller, groupId);
  const leaves = await loadLeaves(deps, groupId, proposal.epoch);
  const sent = await deps.db.transaction().execute((tx) => sendInTransaction(deps, tx, caller, { ...input, leaves }));
  deps.onEvents();
  return sent;
}

async function sendInTransaction(
  deps: ProposalDeps,
  tx: Tx,
  caller: Caller,
  input: ProposalToSend & { readonly leaves: Leaves | undefined },
): Promise<SentMessage> {
  const { groupId, msgId, padded, proposal } = input;
  const { epoch } = proposal;
  const { locked } = await lockConversation(deps, tx, caller, groupId);
  const stored = await selectByMsgId(tx, groupId, msgId);
  if (stored !== undefined) return { seq: stored.seq, epoch: stored.epoch, receivedAt: stored.receivedAt };
  if (epoch !== locked.epoch) throw domainError('EpochMismatch', { currentEpoch: locked.epoch });
  const handshakes = handshakesInForce(deps.handshakes, await loadPolicy(tx, groupId));
  // Proposals of senders outside the group are always PublicMessages (RFC 9420 section 12.1.8).
  if (handshakes === 'encrypted' && proposal.senderType === 'member') {
    throw refusalFor('PolicyViolation', 'handshakesEncrypted');
  }
  checkProposal(caller, proposal, input.leaves);
  const { count, sizeBytes } = await countProposals(tx, groupId, epoch);
  if (count >= limits.clearProposalsPerEpochMax || sizeBytes + padded.length > limits.clearProposalsSizeBytesMax) {
    throw refusalFor('InvalidAsset', 'tooManyProposals');
  }
  const seq = locked.lastSeq + 1;
  const receivedAt = await storeProposal(deps, tx, { groupId, seq, epoch, msgId, padded });
  await recordEvents(deps, tx, { groupId, epoch, lastSeq: seq, firstEvent: locked.lastEvent + 1 }, [
    { kind: eventKinds.message, seq },
  ]);
  return { seq, epoch, receivedAt };
}

/**
 * Checks that the caller's leaf sent the proposal, that an Update or an Add by a new member has the caller's DID, and
 * that every other Add has a DID.
 * @throws AppError InvalidAsset.
 */
function checkProposal(caller: Caller, message: ClearProposal, leaves: Leaves | undefined): void {
  const { proposal, senderType, senderLeafIndex } = message;
  if (senderLeafIndex !== undefined && leaves !== undefined && leaves[senderLeafIndex]?.did !== caller.did) {
    throw refusalFor('InvalidAsset', 'proposalSender');
  }
  const mustBeOwnLeaf = proposal.type === 'update' || senderType === 'new_member_proposal';
  if (proposal.type !== 'add' && proposal.type !== 'update') return;
  const identity = proposal.identity && Buffer.from(proposal.identity).toString('utf8');
  const isAllowed = mustBeOwnLeaf ? identity === caller.did : identity?.startsWith('did:') === true;
  if (!isAllowed) throw refusalFor('InvalidAsset', 'proposalIdentity');
}
