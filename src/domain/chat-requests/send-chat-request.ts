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
  /**
   * The same for all recipients, so that the sender learns neither their settings nor whether they have an account
   * here.
   */
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
 * Sends a chat request, or returns the shared conversation with the status `bypassed` if the two people already have
 * one. The response does not show whether the recipient will see the request, blocks the sender or has an account here.
 * @throws AppError SelfRequest, RecipientNotFound (for text that is no DID), InvalidAsset, ConvoNotFound, NotMember,
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
  // A request to a person without an account is stored until it expires, like every other request.
  const createdAt = await deps.db
    .transaction()
    .execute((tx) => storeRequest(deps, tx, caller, { ...input, groupId, requestId, isBlocked, expireDays }));
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
 * Counts the request in the sender's sealed settings, in a separate transaction. A sender pseudonym in the rows of
 * requests, or neighbouring rows, would show how many people a sender writes to.
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

async function storeRequest(
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
  const storedId = storedRequestId(privacy, requestId);
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
      requestId: storedId,
      recipient: chatRecipient(privacy, recipientDid),
      pair,
      keyId: privacy.keyId,
      state: isHidden ? chatRequestStates.hidden : chatRequestStates.pending,
      sealedRequest: sealContent(privacy, storedId, content),
      expireDays,
      keptDays: deps.chatRequestTtlDays,
      sealedMessages: heldMessages.map((message, index) => sealHeldMessage(privacy, [storedId, index + 1], message)),
    },
    deps.timeBucketSeconds,
  );
}
