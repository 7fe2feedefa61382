import { domainError } from '#domain/domain-error.ts';
import { limits } from '#platform/limits.ts';

/** The counters of a conversation whose lock the current transaction holds. */
export interface LockedConversation {
  /** The MLS group id. */
  readonly groupId: Buffer;
  readonly epoch: number;
  readonly lastSeq: number;
  readonly lastEvent: number;
}

/** A conversation as its members see it (lexicon `convoView`). */
export interface Conversation {
  readonly groupId: Buffer;
  readonly creatorDid: string;
  readonly epoch: number;
  readonly cipherSuite: string;
  readonly createdAt: Date;
  /** When the newest message or commit that the reader may fetch was received; undefined if there is none. */
  readonly lastMessageAt: Date | undefined;
  readonly metadata: ConversationMetadata | undefined;
  readonly members: readonly ConversationMember[];
  /**
   * DIDs of people who left or were removed, but whose leaves are still in the MLS group because no member has
   * committed their removal.
   */
  readonly needsRemovalCommit: readonly string[];
}

export interface ConversationMember {
  readonly did: string;
  readonly joinedAt: Date;
  /**
   * The time of the promotion to the present role; undefined if the person joined with this role or is an ordinary
   * member.
   */
  readonly promotedAt: Date | undefined;
  readonly isAdmin: boolean;
  readonly isModerator: boolean;
}

/** The name and description that clients may send to the service, which stores them sealed. */
export interface ConversationMetadata {
  readonly name?: string | undefined;
  readonly description?: string | undefined;
}

const groupIdHex = /^(?:[0-9a-f]{2})+$/;

/**
 * Decodes a conversation id, which is the lower-case hex of the MLS group id.
 * @throws AppError ConvoNotFound for any other text, as for a conversation that does not exist.
 */
export function parseConversationId(conversationId: string): Buffer {
  const groupId = decodeGroupId(conversationId);
  if (groupId === undefined) throw domainError('ConvoNotFound');
  return groupId;
}

/**
 * Decodes a group id from hex in upper or lower case.
 * @returns undefined for text that is not hex or is longer than `limits.groupIdHexLengthMax`.
 */
export function decodeGroupId(hex: string): Buffer | undefined {
  const lower = hex.toLowerCase();
  return lower.length <= limits.groupIdHexLengthMax && groupIdHex.test(lower) ? Buffer.from(lower, 'hex') : undefined;
}

/** Formats an MLS group id as a conversation id, which is lower-case hex. */
export function formatConversationId(groupId: Uint8Array): string {
  return Buffer.from(groupId.buffer, groupId.byteOffset, groupId.byteLength).toString('hex');
}
