import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import type { LockedConversation } from '#domain/conversations/conversation.ts';
import { checkGroupInfo, storeGroupInfo } from '#domain/conversations/group-info.ts';
import { lockForJoiner } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { withIdempotency } from '#domain/idempotency/with-idempotency.ts';
import { useInvite } from '#domain/invites/use-invite.ts';
import type { Clock } from '#platform/clock.ts';
import { timeBucketMs } from '#privacy/buckets.ts';
import type { Tx } from '#storage/database.ts';
import { judgeCommit, parseExternalCommit } from './accept-commit.ts';
import type { FramedExternalCommit } from './accept-commit.ts';
import type { MembershipDeps } from './add-members.ts';
import { findAdmission } from './find-admission.ts';
import type { Admission } from './find-admission.ts';
import { roles } from './member.ts';
import { recordChange } from './record-change.ts';
import { refuseTooMany } from './refuse-too-many.ts';
import { memberPseudonym } from './require-member.ts';
import { updateNeedsRejoin } from './store.ts';

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
  const answer = await deps.db.transaction().execute((tx) =>
    withIdempotency(deps, tx, call, async () => {
      const epoch = await joinInTransaction(deps, tx, caller, { ...input, groupId, commit });
      return { epoch, joinedAt: new Date(timeBucketMs(deps.clock.nowMs(), deps.timeBucketSeconds)) };
    }),
  );
  deps.onEvents();
  return answer;
}

type ParsedJoin = Omit<ExternalJoin, 'commit'> & { readonly groupId: Buffer; readonly commit: FramedExternalCommit };

async function joinInTransaction(deps: MembershipDeps, tx: Tx, caller: Caller, input: ParsedJoin): Promise<number> {
  const { groupId, commit } = input;
  const pskHashes = input.pskHash === undefined ? commit.externalPskIds : [input.pskHash, ...commit.externalPskIds];
  // Strangers wait for no lock; what they may is found out again under it.
  await findAdmission({ ...deps, db: tx }, caller, groupId, pskHashes);
  const locked = await lockForJoiner(tx, groupId);
  const admission = await findAdmission({ ...deps, db: tx }, caller, groupId, pskHashes);
  // Somebody new has no old leaf to remove: theirs would be another member's.
  if (admission.kind === 'invited' && commit.removesLeaf) throw domainError('InvalidCommit');
  const verdict = await judgeCommit(deps, tx, locked, commit);
  if (verdict.kind === 'retry') return verdict.epoch;
  if (admission.kind !== 'member') await refuseTooMany(tx, groupId, { newcomers: 1, policy: admission.policy });
  await storeNewGroupInfo(deps, tx, locked, input.groupInfo);
  const epoch = await recordChange(deps, tx, locked, {
    commit: verdict.commit,
    joined: admission.kind === 'member' ? [] : [{ did: caller.did, role: roles.member }],
    departed: [],
  });
  await settle(deps, tx, { caller, groupId, admission });
  return epoch;
}

async function storeNewGroupInfo(
  deps: MembershipDeps,
  tx: Tx,
  { groupId, epoch }: LockedConversation,
  bytes: Buffer | undefined,
): Promise<void> {
  if (bytes === undefined) return;
  checkGroupInfo(bytes, { groupId, epoch: epoch + 1 });
  await storeGroupInfo(deps, tx, { groupId, epoch: epoch + 1, bytes });
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
