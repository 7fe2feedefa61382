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
import { requireMemberCapacity } from './members/require-member-capacity.ts';
import { memberPseudonym } from './members/member-pseudonym.ts';
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
  /** The handshake form that the operator requires in all conversations; `any` requires none. */
  readonly handshakes: Handshakes;
  /** Called after the database commit, to notify subscribers. */
  readonly onEvents: () => void;
}

/**
 * Adds people to a conversation and stores the commit that adds their clients, with its Welcome and GroupInfo, in one
 * transaction. The list may also name members, whose further devices the commit adds.
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
  // Block records are fetched from other servers only if the caller is a member, so that non-members cannot cause these
  // requests. The membership is checked again under the lock.
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
  const conversation = await lockConversation(deps, tx, caller, groupId);
  const { locked, membership } = conversation;
  if (prepared === undefined && input.welcome !== undefined) throw refusalFor('InvalidWelcome', 'noCommit');
  const nonMembers = await listNonMembers(deps, tx, groupId, dids);
  const change = { method: 'addMembers', dids, nonMembers } as const;
  const outcome = await acceptMemberCommit(deps, tx, conversation, { caller, prepared, change, groupInfo });
  if (outcome?.kind === 'retry') return outcome.epoch;
  if (outcome === undefined && nonMembers.length === 0) return locked.epoch;
  if (nonMembers.length > 0) await requireMayAdd(tx, groupId, { ...input, nonMembers, role: membership.role });
  await storeAttachments(deps, tx, caller, {
    ...input,
    invited: input.dids,
    epoch: outcome === undefined ? locked.epoch : locked.epoch + 1,
  });
  return recordChange(deps, tx, locked, {
    commit: outcome?.commit,
    joined: nonMembers.map((did) => ({ did, role: roles.member })),
    departed: [],
  });
}

/**
 * Checks that the policy, the block records and the member limit allow adding the people.
 * @throws AppError PolicyViolation; KeyPackageNotFound for a person who blocks the caller, because the caller cannot
 *   claim their key packages; TooManyMembers.
 */
async function requireMayAdd(
  tx: Tx,
  groupId: Buffer,
  addition: { nonMembers: readonly string[]; role: number; blockers: ReadonlyMap<string, unknown> },
): Promise<void> {
  const { nonMembers, role, blockers } = addition;
  const policy = await loadPolicy(tx, groupId);
  const mayMembersAdd = policy.allowMemberAdd && !policy.requireAdminApproval;
  if (role !== roles.admin && !mayMembersAdd) throw domainError('PolicyViolation');
  if (nonMembers.some((did) => blockers.has(did))) throw domainError('KeyPackageNotFound');
  await requireMemberCapacity(tx, groupId, { count: nonMembers.length, policy });
}

/** Lists the DIDs in `dids` that belong to no active member, each DID once. */
async function listNonMembers(
  deps: MembershipDeps,
  tx: Tx,
  groupId: Buffer,
  dids: readonly string[],
): Promise<string[]> {
  const people = [...new Set(dids)].map((did) => ({ did, member: memberPseudonym(deps.privacy, groupId, did) }));
  const memberships = await selectMemberships(
    tx,
    groupId,
    people.map(({ member }) => member),
  );
  return people
    .filter(({ member }) => !memberships.some((row) => row.state === memberStates.active && row.member.equals(member)))
    .map(({ did }) => did);
}
