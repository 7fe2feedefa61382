import type { Privacy } from '#privacy/privacy.ts';

/**
 * Numbers that the database stores for the states of a request. A `hidden` request is never shown to the recipient, and
 * the sender must not learn that it is hidden.
 */
export const chatRequestStates = { pending: 1, accepted: 2, declined: 3, blocked: 4, hidden: 5 } as const;
export type ChatRequestState = (typeof chatRequestStates)[keyof typeof chatRequestStates];

/** The status that a recipient sees. A pending request becomes `expired` by time alone, without a write. */
export type ChatRequestStatus = 'pending' | 'accepted' | 'declined' | 'blocked' | 'expired';

/**
 * Number of days for which a second request of a sender to the same recipient is refused, whatever the recipient
 * decided.
 */
export const senderWindowDays = 7;

/** The content of a chat request, which is stored as one sealed value. */
export interface ChatRequestContent {
  readonly requestId: string;
  readonly senderDid: string;
  /** Stored so that the pseudonyms of the row can be computed again after a change of the key. */
  readonly recipientDid: string;
  readonly previewText: string | undefined;
  readonly isGroupInvite: boolean;
  /** Hex of the MLS group id. */
  readonly conversationId: string | undefined;
}

export interface HeldMessage {
  readonly ciphertext: Buffer;
  readonly ephemeralPublicKey: Buffer | undefined;
}

/** A chat request as its recipient sees it, with the sender's content. */
export interface ChatRequest extends ChatRequestContent {
  readonly status: ChatRequestStatus;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly messageCount: number;
}

/**
 * Computes the id of a request's row. It differs from the id that people see, because that id becomes the group id on
 * acceptance and would link the recipient to the conversation.
 */
export function storedRequestId(privacy: Privacy, requestId: string): string {
  const hex = privacy.pseudonym('chat-request-id', [], requestId).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/**
 * Computes the recipient's pseudonym, which is the same for all requests to one person. No table except `chat_requests`
 * contains it.
 */
export function chatRecipient(privacy: Privacy, did: string): Buffer {
  return privacy.pseudonym('chat-recipient', [], did);
}

/** Computes the pseudonym of a sender and a recipient in the table `chat_requests`. */
export function chatPair(privacy: Privacy, people: { recipientDid: string; senderDid: string }): Buffer {
  return privacy.pseudonym('chat-pair', [people.recipientDid], people.senderDid);
}

/**
 * Computes the pseudonym of a sender and a recipient in the table `chat_sender_blocks`. It differs from `chatPair`, so
 * that the two tables cannot be linked.
 */
export function chatBlockPair(privacy: Privacy, people: { recipientDid: string; senderDid: string }): Buffer {
  return privacy.pseudonym('chat-block', [people.recipientDid], people.senderDid);
}
