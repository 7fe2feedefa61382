import type { Caller } from '#domain/caller.ts';
import { createConversation } from '#domain/conversations/create-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { refusalFor } from '#domain/refusal-reasons.ts';
import { parseWelcome } from '#domain/welcomes/accept-welcome.ts';
import { cipherSuiteName } from '#mls/cipher-suites.ts';
import { isUuid } from '#platform/ids.ts';
import { chatRecipient, chatRequestStates, storedRequestId } from './chat-request.ts';
import type { HeldMessage } from './chat-request.ts';
import { openContent, openHeldMessage } from './sealed-request.ts';
import { recordDecision, lockRequest, selectMessages, selectRequest } from './store.ts';
import type { ChatRequestRow } from './store.ts';

export interface AcceptedChatRequest {
  /**
   * The id of the group to which the request invites. If it invites to none, this is the request's id without dashes.
   */
  readonly conversationId: string;
  readonly heldMessages: readonly (HeldMessage & { readonly id: string; readonly sequence: number })[];
  readonly acceptedAt: Date;
}

/**
 * Accepts a request, and with a Welcome also creates the conversation, with the sender as member. A repeated call gets
 * the same result, but the held messages are deleted CHAT_MESSAGE_TTL_HOURS after the first call.
 * @throws AppError RequestNotFound, RequestExpired, AlreadyProcessed, InvalidWelcome, KeyPackageNotFound,
 *   TooManyConversations.
 */
export async function acceptChatRequest(
  deps: Parameters<typeof createConversation>[0],
  caller: Caller,
  input: { requestId: string; welcome: Buffer | undefined },
): Promise<AcceptedChatRequest> {
  const { privacy } = deps;
  const { requestId } = input;
  if (!isUuid(requestId)) throw domainError('RequestNotFound');
  const recipient = chatRecipient(privacy, caller.did);
  const storedId = storedRequestId(privacy, requestId);
  const found = requireAcceptable(await selectRequest(deps.db, recipient, storedId));
  const { senderDid, conversationId: invitedTo } = openContent(privacy, storedId, found.sealedRequest);
  // A new conversation has the request's id as its MLS group id (16 bytes), so that the client can compute the group id
  // before the call.
  const conversationId = invitedTo ?? requestId.replaceAll('-', '');
  if (input.welcome !== undefined) {
    // The sender of a group invite is already a member of the group and must send the Welcome there.
    if (invitedTo !== undefined) throw refusalFor('InvalidWelcome', 'inGroup');
    await createConversation(deps, caller, {
      groupId: conversationId,
      cipherSuite: cipherSuiteOf(input.welcome),
      initialMembers: [senderDid],
      welcome: input.welcome,
      groupInfo: undefined,
      metadata: undefined,
      currentEpoch: undefined,
    });
  }
  return deps.db.transaction().execute(async (tx) => {
    const row = requireAcceptable(await lockRequest(tx, recipient, storedId));
    const decision = { state: chatRequestStates.accepted, bucketSeconds: deps.timeBucketSeconds };
    const acceptedAt = row.decidedAt ?? (await recordDecision(tx, storedId, decision));
    const messages = await selectMessages(tx, storedId);
    const heldMessages = messages.map(({ sequence, sealedMessage }) => ({
      ...openHeldMessage(privacy, [storedId, sequence], sealedMessage),
      id: `${requestId}-${sequence}`,
      sequence,
    }));
    return { conversationId, heldMessages, acceptedAt };
  });
}

function requireAcceptable(row: ChatRequestRow | undefined): ChatRequestRow {
  switch (row?.status) {
    case undefined:
      throw domainError('RequestNotFound');
    case 'expired':
      throw domainError('RequestExpired');
    case 'declined':
    case 'blocked':
      throw domainError('AlreadyProcessed');
    case 'pending':
    case 'accepted':
      return row as ChatRequestRow;
  }
}

function cipherSuiteOf(welcome: Buffer): string {
  const name = cipherSuiteName(parseWelcome(welcome).cipherSuite);
  if (name === undefined) throw refusalFor('InvalidWelcome', 'unknownSuite');
  return name;
}
