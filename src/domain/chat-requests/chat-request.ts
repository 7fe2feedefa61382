import type { Privacy } from '#privacy/privacy.ts';

/** `hidden`: the recipient never sees it, and the sender must not learn that. */
export const chatRequestStates = { pending: 1, accepted: 2, declined: 3, blocked: 4, hidden: 5 } as const;
export type ChatRequestState = (typeof chatRequestStates)[keyof typeof chatRequestStates];

/** What a recipient is told; a pending request turns into an expired one by itself. */
export type ChatRequestStatus = 'pending' | 'accepted' | 'declined' | 'blocked' | 'expired';

/** For the sender a request to the same person counts for so long, whatever the recipient did with it. */
export const senderWindowDays = 7;

/** What the sender wrote; sealed as one value. */
export interface ChatRequestContent {
  readonly requestId: string;
  readonly senderDid: string;
  /** Beside the pseudonyms, so that they can be made anew with another key. */
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

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Request ids are the UUIDs that sendChatRequest gave out. */
export function isRequestId(text: string): boolean {
  return uuid.test(text);
}

/**
 * The name of a request's row. The id that people see becomes the group id of the conversation when the request is accepted, and so
 * would join the recipient to it.
 */
export function storedRequestId(privacy: Privacy, requestId: string): string {
  const hex = privacy.pseudonym('chat-request-id', [], requestId).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** Whose list of requests; stands in `chat_requests` alone. */
export function chatRecipient(privacy: Privacy, did: string): Buffer {
  return privacy.pseudonym('chat-recipient', [], did);
}

/** One sender towards one recipient. */
export function chatPair(privacy: Privacy, people: { recipientDid: string; senderDid: string }): Buffer {
  return privacy.pseudonym('chat-pair', [people.recipientDid], people.senderDid);
}

/** The same two, for `chat_sender_blocks`. */
export function chatBlockPair(privacy: Privacy, people: { recipientDid: string; senderDid: string }): Buffer {
  return privacy.pseudonym('chat-block', [people.recipientDid], people.senderDid);
}
