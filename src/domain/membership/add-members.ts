import { readKnownBlockers } from '#domain/blocks/read-blockers.ts';
import type { BlockDeps } from '#domain/blocks/read-blockers.ts';
import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { prepareGroupInfo } from '#domain/conversations/group-info/group-info.ts';
import type { PreparedGroupInfo } from '#domain/conversations/group-info/group-info.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { withIdempotency } from '#domain/idempotency/with-idempotency.ts';
import type { Handshakes } from '#domain/policies/handshakes.ts';
import { loadPolicy } from '#domain/policies/load-policy.ts';
import { refusalFor } from '#domain/refusal-reasons.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { acceptMemberCommit } from './commits/accept-member-commit.ts';
import { memberStates, roles } from './member.ts';
import { prepareCommit } from './commits/prepare-commit.ts';
import type { PreparedCommit } from './commits/prepare-commit.ts';
import { recordChange } from './commits/record-change.ts';
import { requireMemberCapacity } from './members/check-member-limit.ts';
import { memberPseudonym } from './members/require-member.ts';
import { storeAttachments } from './commits/store-attachments.ts';
import { selectMembership, selectMemberships } from './store.ts';

export interface MembersToAdd {
  readonly conversationId: string;
  readonly dids: readonly string[];
  readonly commit: Buffer | undefined;
  readonly welcome: Buffer | undefined;
  readonly groupInfo: Buffer | undefined;
  readonly idempotencyKey?: string | undefined;
}

export interface MembershipDeps {
  readonly db: Db;
  readonly privacy: Privacy;
  readonly timeBucketSeconds: number;
  readonly idempotencyTtlHours: number;
  /** What the operator asks of all conversations. */
  readonly handshakes: Handshakes;
  /** Called after the commit, to wake subscribers. */
  readonly onEvents: () => void;
}

/**
 * Adds people, with the commit that adds their clients, its Welcome and the new GroupInfo in one transaction. People who are
 * members already may be named again, to add further devices of theirs. Somebody who blocks the caller cannot be added: there is no
 * key package of theirs for the caller.
 * @returns the epoch after the change.
 * @throws AppError ConvoNotFound, NotMember, InvalidCommit, EpochMismatch, InvalidWelcome, KeyPackageNotFound,
 *   InvalidGroupInfo, PolicyViolation, TooManyMembers, TooManyConversations, IdempotencyKeyReused.
 */
export async function addMembers(
  deps: MembershipDeps & BlockDeps,
  caller: Caller,
  input: MembersToAdd,
): Promise<number> {
  const groupId = parseConversationId(input.conversationId);
  const call = { caller, method: 'addMembers', key: input.idempotencyKey, input } as const;
  // Strangers cannot send the service to other people's servers; the lock below decides whether the call may be made.
  const membership = await selectMembership(deps.db, groupId, memberPseudonym(deps.privacy, groupId, caller.did));
  const isMember = membership?.state === memberStates.active;
  const blockers = await readKnownBlockers(deps, caller.did, isMember ? [...new Set(input.dids)] : []);
  const prepared = await prepareCommit(deps, caller, groupId, input.commit);
  const groupInfo = await prepareGroupInfo(deps, groupId, { bytes: input.groupInfo, mayWrite: isMember });
  const change = { ...input, groupId, prepared, blockers, groupInfo };
  const epoch = await deps.db
    .transaction()
    .execute((tx) => withIdempotency(deps, tx, call, () => addInTransaction(deps, tx, caller, change)));
  deps.onEvents();
  return epoch;
}

type CheckedAddition = Omit<MembersToAdd, 'groupInfo'> & {
  readonly groupId: Buffer;
  readonly prepared: PreparedCommit | undefined;
  readonly groupInfo: PreparedGroupInfo | undefined;
  readonly blockers: ReadonlyMap<string, unknown>;
};

async function addInTransaction(deps: MembershipDeps, tx: Tx, caller: Caller, input: CheckedAddition): Promise<number> {
  const { groupId, dids, prepared, groupInfo } = input;
  const room = await lockConversation(deps, tx, caller, groupId);
  const { locked, membership } = room;
  if (prepared === undefined && input.welcome !== undefined) throw refusalFor('InvalidWelcome', 'noCommit');
  const newcomers = await newcomersOf(deps, tx, groupId, dids);
  const change = { method: 'addMembers', dids, newcomers } as const;
  const verdict = await acceptMemberCommit(deps, tx, room, { caller, prepared, change, groupInfo });
  if (verdict?.kind === 'retry') return verdict.epoch;
  if (verdict === undefined && newcomers.length === 0) return locked.epoch;
  if (newcomers.length > 0) await judgeNewcomers(tx, groupId, { ...input, newcomers, role: membership.role });
  await storeAttachments(deps, tx, caller, {
    ...input,
    invited: input.dids,
    epoch: verdict === undefined ? locked.epoch : locked.epoch + 1,
  });
  return recordChange(deps, tx, locked, {
    commit: verdict?.commit,
    joined: newcomers.map((did) => ({ did, role: roles.member })),
    departed: [],
  });
}

/** @throws AppError PolicyViolation, KeyPackageNotFound, TooManyMembers. */
async function judgeNewcomers(
  tx: Tx,
  groupId: Buffer,
  addition: { newcomers: readonly string[]; role: number; blockers: ReadonlyMap<string, unknown> },
): Promise<void> {
  const { newcomers, role, blockers } = addition;
  const policy = await loadPolicy(tx, groupId);
  const isOpen = policy.allowMemberAdd && !policy.requireAdminApproval;
  if (role !== roles.admin && !isOpen) throw domainError('PolicyViolation');
  if (newcomers.some((did) => blockers.has(did))) throw domainError('KeyPackageNotFound');
  await requireMemberCapacity(tx, groupId, { newcomers: newcomers.length, policy });
}

/** Those of `dids` who are not active members, once each. */
async function newcomersOf(deps: MembershipDeps, tx: Tx, groupId: Buffer, dids: readonly string[]): Promise<string[]> {
  const people = [...new Set(dids)].map((did) => ({ did, member: memberPseudonym(deps.privacy, groupId, did) }));
  const known = await selectMemberships(
    tx,
    groupId,
    people.map(({ member }) => member),
  );
  return people
    .filter(({ member }) => !known.some((row) => row.state === memberStates.active && row.member.equals(member)))
    .map(({ did }) => did);
}
