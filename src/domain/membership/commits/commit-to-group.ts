import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import type { PreparedGroupInfo } from '#domain/conversations/group-info/group-info.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { withIdempotency } from '#domain/idempotency/with-idempotency.ts';
import type { Tx } from '#storage/connection/database.ts';
import { acceptMemberCommit } from './accept-member-commit.ts';
import type { MembershipDeps } from '../add-members.ts';
import { listActiveMembers } from '../members/list-active-members.ts';
import { prepareCommit } from './prepare-commit.ts';
import type { PreparedCommit } from './prepare-commit.ts';
import { recordChange } from './record-change.ts';
import { prepareMembersGroupInfo, storeAttachments } from './store-attachments.ts';

export interface CommitToStore {
  readonly conversationId: string;
  readonly commit: Buffer;
  /** Only for further devices of members, because the commit adds no member. */
  readonly welcome: Buffer | undefined;
  /** The GroupInfo of the epoch after the commit. */
  readonly groupInfo: Buffer | undefined;
  readonly idempotencyKey: string | undefined;
}

/**
 * Stores a member's commit that adds and removes no member. A retry with the bytes of a stored commit returns the first
 * result.
 * @returns the epoch after the commit.
 * @throws AppError ConvoNotFound, NotMember, InvalidCommit, EpochMismatch, InvalidWelcome, KeyPackageNotFound,
 *   InvalidGroupInfo, PolicyViolation, IdempotencyKeyReused.
 */
export async function commitToGroup(deps: MembershipDeps, caller: Caller, input: CommitToStore): Promise<number> {
  const groupId = parseConversationId(input.conversationId);
  const prepared = await prepareCommit(deps, caller, groupId, input.commit);
  const groupInfo = await prepareMembersGroupInfo(deps, caller, groupId, input.groupInfo);
  const call = { caller, method: 'commit', key: input.idempotencyKey, input } as const;
  const epoch = await deps.db
    .transaction()
    .execute((tx) =>
      withIdempotency(deps, tx, call, () =>
        commitInTransaction(deps, tx, caller, { ...input, groupId, prepared, groupInfo }),
      ),
    );
  deps.onEvents();
  return epoch;
}

type PreparedToStore = Omit<CommitToStore, 'groupInfo'> & {
  readonly groupId: Buffer;
  readonly prepared: PreparedCommit | undefined;
  readonly groupInfo: PreparedGroupInfo | undefined;
};

async function commitInTransaction(
  deps: MembershipDeps,
  tx: Tx,
  caller: Caller,
  input: PreparedToStore,
): Promise<number> {
  const { groupId, prepared, welcome, groupInfo } = input;
  const conversation = await lockConversation(deps, tx, caller, groupId);
  const { locked } = conversation;
  const change = { method: 'commit' } as const;
  const outcome = await acceptMemberCommit(deps, tx, conversation, { caller, prepared, change, groupInfo });
  if (outcome?.kind === 'retry') return outcome.epoch;
  const invited = welcome === undefined ? [] : await activeDids(deps, tx, groupId);
  await storeAttachments(deps, tx, caller, { groupId, epoch: locked.epoch + 1, welcome, groupInfo, invited });
  return recordChange(deps, tx, locked, { commit: outcome?.commit, joined: [], departed: [] });
}

async function activeDids(deps: MembershipDeps, tx: Tx, groupId: Buffer): Promise<string[]> {
  const members = await listActiveMembers({ privacy: deps.privacy, db: tx }, [groupId]);
  return (members.get(groupId.toString('hex')) ?? []).map(({ did }) => did);
}
