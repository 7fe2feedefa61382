import type { Privacy } from '#privacy/privacy.ts';

/** A `hidden` request is never shown to the recipient, and the sender must not learn that. */
export const chatRequestStates = { pending: 1, accepted: 2, declined: 3, blocked: 4, hidden: 5 } as const;
export type ChatRequestState = (typeof chatRequestStates)[keyof typeof chatRequestStates];

/** The status that a recipient sees; a pending request becomes `expired` without a write. */
export type ChatRequestStatus = 'pending' | 'accepted' | 'declined' | 'blocked' | 'expired';

/**
 * For this many days a second request of the same sender to the same recipient is refused, whatever the recipient
 * decided.
 */
export const senderWindowDays = 7;

/** The sender's content; sealed as one value. */
export interface ChatRequestContent {
  readonly requestId: string;
  readonly senderDid: string;
  /** Stored next to the pseudonyms so that they can be computed again with another key. */
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

/** A request as its recipient sees it. */
export interface ChatRequest extends ChatRequestContent {
  readonly status: ChatRequestStatus;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly messageCount: number;
}

/**
 * The id of a request's row. It differs from the id that people see, because that becomes the group id of the
 * conversation on acceptance and would link the recipient to the conversation.
 */
export function storedRequestId(privacy: Privacy, requestId: string): string {
  const hex = privacy.pseudonym('chat-request-id', [], requestId).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** The pseudonym of the recipient of a list of requests; only `chat_requests` contains it. */
export function chatRecipient(privacy: Privacy, did: string): Buffer {
  return privacy.pseudonym('chat-recipient', [], did);
}

/** The pseudonym of one sender and one recipient, in `chat_requests`. */
export function chatPair(privacy: Privacy, people: { recipientDid: string; senderDid: string }): Buffer {
  return privacy.pseudonym('chat-pair', [people.recipientDid], people.senderDid);
}

/** The pseudonym of the same two people, in `chat_sender_blocks`. */
export function chatBlockPair(privacy: Privacy, people: { recipientDid: string; senderDid: string }): Buffer {
  return privacy.pseudonym('chat-block', [people.recipientDid], people.senderDid);
}
