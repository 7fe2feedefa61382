import type { Caller } from '#domain/caller.ts';
import { createConversation } from '#domain/conversations/create-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { refusalFor } from '#domain/refusal-reasons.ts';
import { parseWelcome } from '#domain/welcomes/accept-welcome.ts';
import { cipherSuiteName } from '#mls/cipher-suites.ts';
import { chatRecipient, chatRequestStates, isRequestId, storedRequestId } from './chat-request.ts';
import type { HeldMessage } from './chat-request.ts';
import { openContent, openHeldMessage } from './sealed-request.ts';
import { answerRequest, lockRequest, selectMessages, selectRequest } from './store.ts';
import type { ChatRequestRow } from './store.ts';

export interface AcceptedChatRequest {
  /** The group that the request invites to, else the request's id without its dashes. */
  readonly conversationId: string;
  readonly heldMessages: readonly (HeldMessage & { readonly id: string; readonly sequence: number })[];
  readonly acceptedAt: Date;
}

/**
 * Lets a request in. A Welcome makes the conversation at once, with the sender in it: its MLS group id is the request's id
 * without dashes, as 16 bytes, so that the client knows it beforehand. Accepting again gives the same answer; the held
 * messages stay for a day.
 * @throws AppError RequestNotFound, RequestExpired, AlreadyProcessed, InvalidWelcome, KeyPackageNotFound, TooManyConversations.
 */
export async function acceptChatRequest(
  deps: Parameters<typeof createConversation>[0],
  caller: Caller,
  input: { requestId: string; welcome: Buffer | undefined },
): Promise<AcceptedChatRequest> {
  const { privacy } = deps;
  const { requestId } = input;
  if (!isRequestId(requestId)) throw domainError('RequestNotFound');
  const recipient = chatRecipient(privacy, caller.did);
  const name = storedRequestId(privacy, requestId);
  const found = judge(await selectRequest(deps.db, recipient, name));
  const { senderDid, conversationId: invitedTo } = openContent(privacy, name, found.sealedRequest);
  const conversationId = invitedTo ?? requestId.replaceAll('-', '');
  if (input.welcome !== undefined) {
    // Who invites to a group is in it, and sends its Welcome from there.
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
    const row = judge(await lockRequest(tx, recipient, name));
    const answer = { state: chatRequestStates.accepted, bucketSeconds: deps.timeBucketSeconds };
    const acceptedAt = row.answeredAt ?? (await answerRequest(tx, name, answer));
    const messages = await selectMessages(tx, name);
    const heldMessages = messages.map(({ sequence, sealedMessage }) => ({
      ...openHeldMessage(privacy, [name, sequence], sealedMessage),
      id: `${requestId}-${sequence}`,
      sequence,
    }));
    return { conversationId, heldMessages, acceptedAt };
  });
}

function judge(row: ChatRequestRow | undefined): ChatRequestRow {
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
