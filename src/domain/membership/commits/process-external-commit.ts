import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { prepareGroupInfo, storeGroupInfo } from '#domain/conversations/group-info/group-info.ts';
import type { PreparedGroupInfo } from '#domain/conversations/group-info/group-info.ts';
import { loadLeaves } from '#domain/conversations/group-info/load-leaves.ts';
import { applyToLeaves } from '#domain/conversations/group-info/leaves.ts';
import type { Leaves } from '#domain/conversations/group-info/leaves.ts';
import { lockForJoiner } from '#domain/conversations/lock-conversation.ts';
import { refusalFor } from '#domain/refusal-reasons.ts';
import { withIdempotency } from '#domain/idempotency/with-idempotency.ts';
import { useInvite } from '#domain/invites/use-invite.ts';
import { handshakesInForce } from '#domain/policies/handshakes.ts';
import type { Handshakes } from '#domain/policies/handshakes.ts';
import { loadPolicy } from '#domain/policies/load-policy.ts';
import type { Clock } from '#platform/clock.ts';
import { isAppError } from '#platform/errors.ts';
import { timeBucketMs } from '#privacy/buckets.ts';
import type { Tx } from '#storage/connection/database.ts';
import { decideCommit, parseExternalCommit } from './accept-commit.ts';
import type { FramedExternalCommit } from './accept-commit.ts';
import type { MembershipDeps } from '../add-members.ts';
import { compareGroupInfo } from './check-commit.ts';
import { findAdmission } from '../members/find-admission.ts';
import type { Admission } from '../members/find-admission.ts';
import { roles } from '../member.ts';
import { recordChange } from './record-change.ts';
import { requireMemberCapacity } from '../members/check-member-limit.ts';
import { memberPseudonym } from '../members/require-member.ts';
import { updateNeedsRejoin } from '../store.ts';

export interface ExternalJoin {
  readonly conversationId: string;
  readonly commit: Buffer;
  /** Of the epoch after the commit. */
  readonly groupInfo: Buffer | undefined;
  /** 32 bytes: an invite, for those whose commit does not name it as an external PSK. */
  readonly pskHash: Buffer | undefined;
  readonly idempotencyKey: string | undefined;
}

/**
 * Lets the caller into the MLS group by a commit of their own (RFC 9420 section 12.4.3.2), which takes part in the same
 * compare-and-set as every other. Whoever was no member becomes one with it; an invite is counted in the same transaction.
 * @returns the epoch after the commit, and when it was taken.
 * @throws AppError InvalidCommit, ConvoNotFound, NotMember, PolicyViolation, EpochMismatch, InvalidGroupInfo, TooManyMembers,
 *   TooManyConversations, IdempotencyKeyReused.
 */
export async function processExternalCommit(
  deps: MembershipDeps & { readonly clock: Clock },
  caller: Caller,
  input: ExternalJoin,
): Promise<{ epoch: number; joinedAt: Date }> {
  const groupId = parseConversationId(input.conversationId);
  const commit = parseExternalCommit(input.commit, groupId, caller);
  const call = { caller, method: 'processExternalCommit', key: input.idempotencyKey, input } as const;
  const pskHashes = input.pskHash === undefined ? commit.externalPskIds : [input.pskHash, ...commit.externalPskIds];
  // Before the lock, because opening a GroupInfo takes time; for those who are not let in anyway nothing is opened.
  const needsLeaves = input.groupInfo !== undefined || commit.removedLeafIndex !== undefined;
  const mayWrite = needsLeaves && (await seemsAdmitted(deps, caller, groupId, pskHashes));
  const groupInfo = await prepareGroupInfo(deps, groupId, { bytes: input.groupInfo, mayWrite });
  const leaves = mayWrite ? await loadLeaves(deps, groupId, commit.epoch) : undefined;
  const join = { ...input, groupId, commit, pskHashes, groupInfo, leaves };
  const answer = await deps.db.transaction().execute((tx) =>
    withIdempotency(deps, tx, call, async () => {
      const epoch = await joinInTransaction(deps, tx, caller, join);
      return { epoch, joinedAt: new Date(timeBucketMs(deps.clock.nowMs(), deps.timeBucketSeconds)) };
    }),
  );
  deps.onEvents();
  return answer;
}

interface ParsedJoin {
  readonly groupId: Buffer;
  readonly commit: FramedExternalCommit;
  /** Invites that the caller shows. */
  readonly pskHashes: readonly Uint8Array[];
  readonly groupInfo: PreparedGroupInfo | undefined;
  /** Of the commit's epoch, if the caller may have an old leaf. */
  readonly leaves: Leaves | undefined;
}

/** As `findAdmission` finds without the lock; the transaction decides. */
async function seemsAdmitted(
  deps: MembershipDeps,
  caller: Caller,
  groupId: Buffer,
  pskHashes: readonly Uint8Array[],
): Promise<boolean> {
  try {
    await findAdmission(deps, caller, groupId, pskHashes);
    return true;
  } catch (error) {
    if (isAppError(error)) return false;
    throw error;
  }
}

async function joinInTransaction(deps: MembershipDeps, tx: Tx, caller: Caller, input: ParsedJoin): Promise<number> {
  const { groupId, commit, pskHashes, leaves } = input;
  // Strangers wait for no lock; what they may is found out again under it.
  await findAdmission({ ...deps, db: tx }, caller, groupId, pskHashes);
  const locked = await lockForJoiner(tx, groupId);
  const admission = await findAdmission({ ...deps, db: tx }, caller, groupId, pskHashes);
  // Somebody new has no old leaf to remove: theirs would be another member's.
  if (admission.kind === 'invited' && commit.removedLeafIndex !== undefined) {
    throw refusalFor('InvalidCommit', 'externalRemovesOther');
  }
  const verdict = await decideCommit(deps, tx, locked, commit);
  if (verdict.kind === 'retry') return verdict.epoch;
  const handshakes = handshakesInForce(deps.handshakes, await loadPolicy(tx, groupId));
  if (handshakes === 'plaintext' && input.groupInfo === undefined)
    throw refusalFor('PolicyViolation', 'groupInfoNeeded');
  judgeRemovedLeaf(caller, commit, { leaves, handshakes });
  if (leaves !== undefined) compareGroupInfo(input.groupInfo, leavesAfter(caller, commit, leaves));
  if (admission.kind !== 'member') await requireMemberCapacity(tx, groupId, { newcomers: 1, policy: admission.policy });
  if (input.groupInfo !== undefined) await storeGroupInfo(deps, tx, input.groupInfo, locked.epoch + 1);
  const epoch = await recordChange(deps, tx, locked, {
    commit: verdict.commit,
    joined: admission.kind === 'member' ? [] : [{ did: caller.did, role: roles.member }],
    departed: [],
  });
  await settle(deps, tx, { caller, groupId, admission });
  return epoch;
}

/** RFC 9420 section 12.4.3.2: the Remove is for an old leaf of the joiner. Without the leaves, members check it. */
function judgeRemovedLeaf(
  caller: Caller,
  { removedLeafIndex }: FramedExternalCommit,
  { leaves, handshakes }: { readonly leaves: Leaves | undefined; readonly handshakes: Handshakes },
): void {
  if (removedLeafIndex === undefined) return;
  if (leaves === undefined) {
    if (handshakes === 'plaintext') throw refusalFor('InvalidCommit', 'unknownLeaves');
    return;
  }
  if (leaves[removedLeafIndex]?.did !== caller.did) throw refusalFor('InvalidCommit', 'externalRemovesOther');
}

/** The joiner's leaf takes the leftmost blank place, as an Add does (RFC 9420 section 12.4.3.2). */
function leavesAfter(caller: Caller, { removedLeafIndex }: FramedExternalCommit, leaves: Leaves): Leaves {
  const removed = new Set(removedLeafIndex === undefined ? [] : [removedLeafIndex]);
  return applyToLeaves(leaves, { removed, added: [caller.did] });
}

/** What the join answers: the wish to be added anew, or the invite. */
async function settle(
  deps: MembershipDeps,
  tx: Tx,
  { caller, groupId, admission }: { caller: Caller; groupId: Buffer; admission: Admission },
): Promise<void> {
  if (admission.kind === 'invited') await useInvite(tx, admission.inviteId);
  else
    await updateNeedsRejoin(tx, groupId, {
      member: memberPseudonym(deps.privacy, groupId, caller.did),
      needsRejoin: false,
    });
}
