import { readKnownBlockers } from '#domain/blocks/read-blockers.ts';
import type { BlockDeps } from '#domain/blocks/read-blockers.ts';
import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { withIdempotency } from '#domain/idempotency/with-idempotency.ts';
import { roles } from '#domain/membership/member.ts';
import { recordChange } from '#domain/membership/commits/record-change.ts';
import { acceptWelcome } from '#domain/welcomes/accept-welcome.ts';
import { refusalFor } from '#domain/refusal-reasons.ts';
import { cipherSuiteNumber } from '#mls/cipher-suites.ts';
import { limits } from '#platform/limits.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { decodeGroupId } from './conversation.ts';
import type { Conversation, ConversationMetadata } from './conversation.ts';
import { checkGroupInfo, storeGroupInfo } from './group-info/group-info.ts';
import type { CheckedGroupInfo } from './group-info/group-info.ts';
import { loadConversations } from './load-conversations.ts';
import { insertConversation } from './store.ts';

export interface ConversationToCreate {
  /** Hex of the MLS group id. */
  readonly groupId: string;
  readonly cipherSuite: string;
  readonly initialMembers: readonly string[];
  readonly welcome: Buffer | undefined;
  readonly groupInfo: Buffer | undefined;
  readonly metadata: ConversationMetadata | undefined;
  readonly currentEpoch: number | undefined;
  readonly idempotencyKey?: string | undefined;
}

interface CreateDeps extends BlockDeps {
  readonly db: Db;
  readonly privacy: Privacy;
  readonly timeBucketSeconds: number;
  readonly idempotencyTtlHours: number;
  readonly messageTtlDays: number;
  /** Called after the database commit, to notify subscribers. */
  readonly onEvents: () => void;
}

/**
 * Creates a conversation with the caller as its admin, or returns the existing one to a creator who retries. The first
 * epoch is `currentEpoch` if given, else 1 with a Welcome and 0 without one.
 * @throws AppError InvalidCipherSuite, InvalidGroupId, TooManyMembers, ConvoAlreadyExists, InvalidWelcome,
 *   KeyPackageNotFound, InvalidGroupInfo, TooManyConversations, IdempotencyKeyReused.
 */
export async function createConversation(
  deps: CreateDeps,
  caller: Caller,
  input: ConversationToCreate,
): Promise<Conversation> {
  const checked = await checkInput(deps, caller, input);
  const blockers = await readKnownBlockers(deps, caller.did, checked.others);
  const call = { caller, method: 'createConvo', key: input.idempotencyKey, input } as const;
  const conversation = await deps.db
    .transaction()
    .execute((tx) =>
      withIdempotency(deps, tx, call, () => createInTransaction(deps, tx, caller, { ...checked, blockers })),
    );
  deps.onEvents();
  return conversation;
}

async function createInTransaction(
  deps: CreateDeps,
  tx: Tx,
  caller: Caller,
  input: CheckedConversation & { blockers: ReadonlyMap<string, unknown> },
): Promise<Conversation> {
  const created = await insertWithMembers(deps, tx, caller, input);
  // A person who blocks the caller cannot be added, because the caller cannot claim their key packages.
  if (created && input.blockers.size > 0) throw domainError('KeyPackageNotFound');
  const [conversation] = await loadConversations({ ...deps, db: tx }, caller, [input.groupId]);
  const mayRetry =
    conversation?.creatorDid === caller.did && conversation.members.some(({ did }) => did === caller.did);
  if (conversation === undefined || (!created && !mayRetry)) throw domainError('ConvoAlreadyExists');
  return conversation;
}

/** The input of a call after all checks that need no database. */
type CheckedConversation = Omit<ConversationToCreate, 'groupId' | 'groupInfo'> & {
  readonly groupId: Buffer;
  readonly epoch: number;
  readonly others: readonly string[];
  readonly suite: number;
  readonly groupInfo: CheckedGroupInfo | undefined;
};

async function checkInput(deps: CreateDeps, caller: Caller, input: ConversationToCreate): Promise<CheckedConversation> {
  const suite = cipherSuiteNumber(input.cipherSuite);
  if (suite === undefined) throw refusalFor('InvalidCipherSuite', 'unknownName');
  const groupId = decodeGroupId(input.groupId);
  if (groupId === undefined) throw domainError('InvalidGroupId');
  const others = [...new Set(input.initialMembers)].filter((did) => did !== caller.did);
  if (others.length + 1 > limits.membersPerConversationMax) throw domainError('TooManyMembers');
  // A Welcome comes with the creator's first commit, which started epoch 1.
  const epoch = input.currentEpoch ?? (input.welcome === undefined ? 0 : 1);
  const groupInfo =
    input.groupInfo && (await checkGroupInfo(deps, input.groupInfo, { groupId, cipherSuite: suite, epoch }));
  return { ...input, groupId, epoch, others, suite, groupInfo };
}

async function insertWithMembers(
  deps: CreateDeps,
  tx: Tx,
  caller: Caller,
  input: CheckedConversation,
): Promise<boolean> {
  const { privacy } = deps;
  const { groupId, epoch, others } = input;
  const inserted = await insertConversation(
    tx,
    {
      groupId,
      cipherSuite: input.suite,
      epoch,
      sealedCreator: privacy.sealText('conversation-creator', [groupId], caller.did),
      sealedMetadata:
        input.metadata === undefined
          ? null
          : privacy.sealText('conversation-metadata', [groupId], JSON.stringify(input.metadata)),
    },
    deps.timeBucketSeconds,
  );
  if (!inserted) return false;
  if (input.welcome !== undefined) {
    await acceptWelcome(deps, tx, caller, {
      groupId,
      epoch,
      bytes: input.welcome,
      cipherSuite: input.suite,
      invited: others,
      members: () => Promise.resolve([]),
    });
  }
  if (input.groupInfo !== undefined) await storeGroupInfo(deps, tx, input.groupInfo, epoch);
  await recordChange(
    deps,
    tx,
    { groupId, epoch, lastSeq: 0, lastEvent: 0 },
    {
      commit: undefined,
      joined: [{ did: caller.did, role: roles.admin }, ...others.map((did) => ({ did, role: roles.member }))],
      departed: [],
    },
  );
  return true;
}
