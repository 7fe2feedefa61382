import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { prepareGroupInfo, storeGroupInfo } from '#domain/conversations/group-info/group-info.ts';
import type { PreparedGroupInfo } from '#domain/conversations/group-info/group-info.ts';
import { loadLeaves } from '#domain/conversations/group-info/load-leaves.ts';
import { applyToLeaves } from '#domain/conversations/group-info/leaves.ts';
import type { Leaves } from '#domain/conversations/group-info/leaves.ts';
import { lockWithoutMembershipCheck } from '#domain/conversations/lock-conversation.ts';
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
import { compareEpoch } from './compare-epoch.ts';
import { parseExternalCommit } from './parse-commit.ts';
import type { FramedExternalCommit } from './parse-commit.ts';
import type { MembershipDeps } from '../add-members.ts';
import { compareGroupInfo } from './check-commit.ts';
import { findJoinPermission } from '../members/find-join-permission.ts';
import type { JoinPermission } from '../members/find-join-permission.ts';
import { roles } from '../member.ts';
import { recordChange } from './record-change.ts';
import { requireMemberCapacity } from '../members/require-member-capacity.ts';
import { memberPseudonym } from '../members/member-pseudonym.ts';
import { updateNeedsRejoin } from '../store.ts';

export interface ExternalJoin {
  readonly conversationId: string;
  readonly commit: Buffer;
  /** The GroupInfo of the epoch after the commit. */
  readonly groupInfo: Buffer | undefined;
  /** The 32-byte hash of an invite's secret, for commits that do not have the invite as an external PSK. */
  readonly pskHash: Buffer | undefined;
  readonly idempotencyKey: string | undefined;
}

/**
 * Stores an external commit with which the caller joins the MLS group (RFC 9420 section 12.4.3.2). The same transaction
 * makes a non-member a member and counts the use of an invite.
 * @returns the epoch after the commit, and the time of the join, rounded down to the time bucket.
 * @throws AppError InvalidCommit, ConvoNotFound, NotMember, PolicyViolation, EpochMismatch, InvalidGroupInfo,
 *   TooManyMembers, TooManyConversations, IdempotencyKeyReused.
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
  // Unsealing a GroupInfo takes time, so it happens before the lock is taken and only for callers who may join.
  const needsLeaves = input.groupInfo !== undefined || commit.removedLeafIndex !== undefined;
  const mayWrite = needsLeaves && (await seemsAllowed(deps, caller, groupId, pskHashes));
  const groupInfo = await prepareGroupInfo(deps, groupId, { bytes: input.groupInfo, mayWrite });
  const leaves = mayWrite ? await loadLeaves(deps, groupId, commit.epoch) : undefined;
  const join = { ...input, groupId, commit, pskHashes, groupInfo, leaves };
  const joined = await deps.db.transaction().execute((tx) =>
    withIdempotency(deps, tx, call, async () => {
      const epoch = await joinInTransaction(deps, tx, caller, join);
      return { epoch, joinedAt: new Date(timeBucketMs(deps.clock.nowMs(), deps.timeBucketSeconds)) };
    }),
  );
  deps.onEvents();
  return joined;
}

interface ParsedJoin {
  readonly groupId: Buffer;
  readonly commit: FramedExternalCommit;
  /** Hashes of the secrets of invites that the caller presents. */
  readonly pskHashes: readonly Uint8Array[];
  readonly groupInfo: PreparedGroupInfo | undefined;
  /** The leaves of the commit's epoch; undefined when they are not needed or cannot be determined. */
  readonly leaves: Leaves | undefined;
}

/**
 * Returns whether the caller probably may join. The result is preliminary, because the permission is checked again
 * under the lock.
 */
async function seemsAllowed(
  deps: MembershipDeps,
  caller: Caller,
  groupId: Buffer,
  pskHashes: readonly Uint8Array[],
): Promise<boolean> {
  try {
    await findJoinPermission(deps, caller, groupId, pskHashes);
    return true;
  } catch (error) {
    if (isAppError(error)) return false;
    throw error;
  }
}

async function joinInTransaction(deps: MembershipDeps, tx: Tx, caller: Caller, input: ParsedJoin): Promise<number> {
  const { groupId, commit, pskHashes, leaves } = input;
  // The permission is checked before the lock, so that non-members never wait for the lock, and again under the lock,
  // because it may have changed.
  await findJoinPermission({ ...deps, db: tx }, caller, groupId, pskHashes);
  const locked = await lockWithoutMembershipCheck(tx, groupId);
  const permission = await findJoinPermission({ ...deps, db: tx }, caller, groupId, pskHashes);
  // An invited person has no old leaf, so the removed leaf would be another member's.
  if (permission.kind === 'invited' && commit.removedLeafIndex !== undefined) {
    throw refusalFor('InvalidCommit', 'externalRemovesOther');
  }
  const outcome = await compareEpoch(deps, tx, locked, commit);
  if (outcome.kind === 'retry') return outcome.epoch;
  const handshakes = handshakesInForce(deps.handshakes, await loadPolicy(tx, groupId));
  if (handshakes === 'plaintext' && input.groupInfo === undefined)
    throw refusalFor('PolicyViolation', 'groupInfoNeeded');
  checkRemovedLeaf(caller, commit, { leaves, handshakes });
  if (leaves !== undefined) compareGroupInfo(input.groupInfo, leavesAfter(caller, commit, leaves));
  if (permission.kind !== 'member') await requireMemberCapacity(tx, groupId, { count: 1, policy: permission.policy });
  if (input.groupInfo !== undefined) await storeGroupInfo(deps, tx, input.groupInfo, locked.epoch + 1);
  const epoch = await recordChange(deps, tx, locked, {
    commit: outcome.commit,
    joined: permission.kind === 'member' ? [] : [{ did: caller.did, role: roles.member }],
    departed: [],
  });
  await completeJoin(deps, tx, { caller, groupId, permission });
  return epoch;
}

/**
 * Checks that an external commit removes no leaf except an old leaf of the joiner (RFC 9420 section 12.4.3.2). Without
 * the leaves, the check is left to the members, unless plaintext handshakes are required.
 */
function checkRemovedLeaf(
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

/**
 * Computes the leaves after an external commit, whose joiner gets the leftmost blank leaf as with an Add (RFC 9420
 * section 12.4.3.2).
 */
function leavesAfter(caller: Caller, { removedLeafIndex }: FramedExternalCommit, leaves: Leaves): Leaves {
  const removed = new Set(removedLeafIndex === undefined ? [] : [removedLeafIndex]);
  return applyToLeaves(leaves, { removed, added: [caller.did] });
}

/** Counts the use of the joiner's invite, or clears the joiner's request for readdition. */
async function completeJoin(
  deps: MembershipDeps,
  tx: Tx,
  { caller, groupId, permission }: { caller: Caller; groupId: Buffer; permission: JoinPermission },
): Promise<void> {
  if (permission.kind === 'invited') await useInvite(tx, permission.inviteId);
  else
    await updateNeedsRejoin(tx, groupId, {
      member: memberPseudonym(deps.privacy, groupId, caller.did),
      needsRejoin: false,
    });
}
