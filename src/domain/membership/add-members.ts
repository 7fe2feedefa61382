import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { checkGroupInfo, storeGroupInfo } from '#domain/conversations/group-info.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { withIdempotency } from '#domain/idempotency/with-idempotency.ts';
import { acceptWelcome } from '#domain/welcomes/accept-welcome.ts';
import { limits } from '#platform/limits.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/database.ts';
import { judgeCommit, parseMemberCommit } from './accept-commit.ts';
import { memberStates, roles } from './member.ts';
import { recordChange } from './record-change.ts';
import { memberPseudonym } from './require-member.ts';
import { countActiveMembers, selectMemberships } from './store.ts';

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
  /** Called after the commit, to wake subscribers. */
  readonly onEvents: () => void;
}

/**
 * Adds people, with the commit that adds their clients, its Welcome and the new GroupInfo in one transaction. People who are
 * members already may be named again, to add further devices of theirs.
 * @returns the epoch after the change.
 * @throws AppError ConvoNotFound, NotMember, InvalidCommit, EpochMismatch, InvalidWelcome, KeyPackageNotFound,
 *   InvalidGroupInfo, TooManyMembers, TooManyConversations, IdempotencyKeyReused.
 */
export async function addMembers(deps: MembershipDeps, caller: Caller, input: MembersToAdd): Promise<number> {
  const groupId = parseConversationId(input.conversationId);
  const call = { caller, method: 'addMembers', key: input.idempotencyKey, input } as const;
  const epoch = await deps.db
    .transaction()
    .execute((tx) => withIdempotency(deps, tx, call, () => addInTransaction(deps, tx, caller, { ...input, groupId })));
  deps.onEvents();
  return epoch;
}

async function addInTransaction(
  deps: MembershipDeps,
  tx: Tx,
  caller: Caller,
  input: MembersToAdd & { groupId: Buffer },
): Promise<number> {
  const { groupId } = input;
  const { locked } = await lockConversation(deps, tx, caller, groupId);
  if (input.commit === undefined && input.welcome !== undefined) throw domainError('InvalidWelcome');
  const verdict = input.commit && (await judgeCommit(deps, tx, locked, parseMemberCommit(input.commit, groupId)));
  if (verdict?.kind === 'retry') return verdict.epoch;

  const newcomers = await newcomersOf(deps, tx, groupId, input.dids);
  if (verdict === undefined && newcomers.length === 0) return locked.epoch;
  await refuseTooMany(tx, groupId, newcomers.length);
  // Key packages are locked before accounts here as in createConversation, so that the two cannot deadlock.
  await storeAttachments(deps, tx, caller, {
    ...input,
    epoch: verdict === undefined ? locked.epoch : locked.epoch + 1,
  });
  return recordChange(deps, tx, locked, {
    commit: verdict?.commit,
    joined: newcomers.map((did) => ({ did, role: roles.member })),
    departed: [],
  });
}

async function refuseTooMany(tx: Tx, groupId: Buffer, newcomers: number): Promise<void> {
  if (newcomers === 0) return;
  const count = await countActiveMembers(tx, groupId);
  if (count + newcomers > limits.membersPerConversationMax) throw domainError('TooManyMembers');
}

async function storeAttachments(
  deps: MembershipDeps,
  tx: Tx,
  caller: Caller,
  input: MembersToAdd & { groupId: Buffer; epoch: number },
): Promise<void> {
  const { groupId, epoch } = input;
  if (input.welcome !== undefined) {
    const welcome = { groupId, epoch, bytes: input.welcome, cipherSuite: undefined, invited: input.dids };
    await acceptWelcome(deps, tx, caller, welcome);
  }
  if (input.groupInfo !== undefined) {
    checkGroupInfo(input.groupInfo, { groupId, epoch });
    await storeGroupInfo(deps, tx, { groupId, epoch, bytes: input.groupInfo });
  }
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
