import { isValidDid } from '@atproto/syntax';
import { changeAccountSettings } from '#domain/accounts/change-account-settings.ts';
import { defaultAccountSettings } from '#domain/accounts/account-settings.ts';
import { readAccountSettings } from '#domain/accounts/read-account-settings.ts';
import { readBlockers } from '#domain/blocks/read-blockers.ts';
import type { BlockDeps } from '#domain/blocks/read-blockers.ts';
import type { Caller } from '#domain/caller.ts';
import { formatConversationId, parseConversationId } from '#domain/conversations/conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { listSharedConversations } from '#domain/membership/members/list-shared-conversations.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import { refusalFor } from '#domain/refusal-reasons.ts';
import { isMessageSizeBucket } from '#mls/encoding/padding-envelope.ts';
import { newUuid } from '#platform/ids.ts';
import { limits } from '#platform/limits.ts';
import { timeBucketMs } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import {
  chatBlockPair,
  chatPair,
  chatRecipient,
  chatRequestStates,
  senderWindowDays,
  storedRequestId,
} from './chat-request.ts';
import type { HeldMessage } from './chat-request.ts';
import { sealContent, sealHeldMessage } from './sealed-request.ts';
import { deleteUnanswered, hasRecentRequest, insertRequest, isSenderBlocked, lockPair } from './store.ts';

export interface ChatRequestToSend {
  readonly recipientDid: string;
  readonly previewText: string | undefined;
  readonly heldMessages: readonly (HeldMessage & { readonly paddedSize: number })[];
  readonly isGroupInvite: boolean;
  readonly conversationId: string | undefined;
}

export interface SentChatRequest {
  readonly requestId: string;
  readonly status: 'pending' | 'bypassed';
  readonly createdAt: Date;
  /** The same for all recipients: it tells nothing of their settings, nor whether they are here. */
  readonly expiresAt: Date;
  readonly conversationId: string | undefined;
}

type SendDeps = BlockDeps & {
  readonly db: Db;
  readonly privacy: Privacy;
  readonly timeBucketSeconds: number;
  readonly chatRequestTtlDays: number;
};

const msPerDay = 86_400_000;

/**
 * Asks a stranger to chat. With people who share a conversation already there is nothing to ask. The answer is the same whether
 * the recipient will see the request, blocks the sender, or has never been here; for people who never were, it waits.
 * @throws AppError SelfRequest, RecipientNotFound (for what is no DID), InvalidAsset, ConvoNotFound, NotMember,
 *   RateLimited, DuplicateRequest.
 */
export async function sendChatRequest(
  deps: SendDeps,
  caller: Caller,
  input: ChatRequestToSend,
): Promise<SentChatRequest> {
  const groupId = input.conversationId === undefined ? undefined : parseConversationId(input.conversationId);
  checkInput(caller, input);
  if (groupId !== undefined) await requireMember(deps, caller, groupId);
  const shared = await listSharedConversations(deps, caller, input.recipientDid);
  const common = groupId === undefined ? shared[0] : shared.find((other) => other.equals(groupId));
  if (common !== undefined) return bypassed(deps, common);
  await chargeSender(deps, caller);
  const isBlocked = (await readBlockers(deps, caller.did, [input.recipientDid])).size > 0;
  const requestId = newUuid();
  const expireDays = await expireDaysOf(deps, input.recipientDid);
  const createdAt = await deps.db
    .transaction()
    .execute((tx) => store(deps, tx, caller, { ...input, groupId, requestId, isBlocked, expireDays }));
  const expiresAt = new Date(createdAt.getTime() + senderWindowDays * msPerDay);
  return { requestId, status: 'pending', createdAt, expiresAt, conversationId: undefined };
}

function checkInput(caller: Caller, input: ChatRequestToSend): void {
  const { recipientDid, heldMessages } = input;
  if (recipientDid === caller.did) throw domainError('SelfRequest');
  if (recipientDid.length > limits.didLengthMax || !isValidDid(recipientDid)) throw domainError('RecipientNotFound');
  for (const { ciphertext, paddedSize } of heldMessages) {
    if (!isMessageSizeBucket(paddedSize)) throw refusalFor('InvalidAsset', 'heldNoBucket');
    if (ciphertext.length !== paddedSize) throw refusalFor('InvalidAsset', 'heldNotPaddedSize');
  }
}

function bypassed(deps: SendDeps, groupId: Buffer): SentChatRequest {
  const now = new Date(timeBucketMs(deps.clock.nowMs(), deps.timeBucketSeconds));
  return {
    requestId: newUuid(),
    status: 'bypassed',
    createdAt: now,
    expiresAt: now,
    conversationId: formatConversationId(groupId),
  };
}

/**
 * Counts in the sender's own sealed settings, in a transaction of its own: a pseudonym of senders beside the requests, or their
 * rows next to each other, would show who writes to how many.
 * @throws AppError RateLimited.
 */
async function chargeSender(deps: SendDeps, caller: Caller): Promise<void> {
  const nowMs = deps.clock.nowMs();
  const day = Math.floor(nowMs / msPerDay);
  await changeAccountSettings(deps, caller.did, (settings) => {
    const count = settings.chatRequestsSent.day === day ? settings.chatRequestsSent.count : 0;
    if (count >= limits.chatRequestsPerDayMax) {
      throw domainError('RateLimited', { retryAfterSeconds: ((day + 1) * msPerDay - nowMs) / 1_000 });
    }
    return { ...settings, chatRequestsSent: { day, count: count + 1 } };
  });
}

async function expireDaysOf(deps: SendDeps, did: string): Promise<number> {
  const settings = await readAccountSettings(deps, [did]);
  return (settings.get(did) ?? defaultAccountSettings).autoExpireDays;
}

async function store(
  deps: SendDeps,
  tx: Tx,
  caller: Caller,
  request: ChatRequestToSend & {
    readonly groupId: Buffer | undefined;
    readonly requestId: string;
    readonly isBlocked: boolean;
    readonly expireDays: number;
  },
): Promise<Date> {
  const { privacy } = deps;
  const { requestId, recipientDid, expireDays } = request;
  const people = { recipientDid, senderDid: caller.did };
  const pair = chatPair(privacy, people);
  await lockPair(tx, pair);
  if (await hasRecentRequest(tx, pair)) throw domainError('DuplicateRequest');
  await deleteUnanswered(tx, pair);
  const isHidden = request.isBlocked || (await isSenderBlocked(tx, chatBlockPair(privacy, people)));
  const name = storedRequestId(privacy, requestId);
  const content = {
    ...people,
    requestId,
    previewText: isHidden ? undefined : request.previewText,
    isGroupInvite: request.isGroupInvite,
    conversationId: request.groupId === undefined ? undefined : formatConversationId(request.groupId),
  };
  const heldMessages = isHidden ? [] : request.heldMessages;
  return insertRequest(
    tx,
    {
      requestId: name,
      recipient: chatRecipient(privacy, recipientDid),
      pair,
      keyId: privacy.keyId,
      state: isHidden ? chatRequestStates.hidden : chatRequestStates.pending,
      sealedRequest: sealContent(privacy, name, content),
      expireDays,
      keptDays: deps.chatRequestTtlDays,
      sealedMessages: heldMessages.map((message, index) => sealHeldMessage(privacy, [name, index + 1], message)),
    },
    deps.timeBucketSeconds,
  );
}
