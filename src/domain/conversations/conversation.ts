import { domainError } from '#domain/domain-error.ts';
import { limits } from '#platform/limits.ts';

/** A conversation's counters as they stood when their row was locked. */
export interface LockedConversation {
  /** The MLS group id. */
  readonly groupId: Buffer;
  readonly epoch: number;
  readonly lastSeq: number;
  readonly lastEvent: number;
}

/** What a conversation looks like to one of its members (lexicon `convoView`). */
export interface Conversation {
  readonly groupId: Buffer;
  readonly creatorDid: string;
  readonly epoch: number;
  readonly cipherSuite: string;
  readonly createdAt: Date;
  readonly metadata: ConversationMetadata | undefined;
  readonly members: readonly ConversationMember[];
  /** People who are gone and whose leaves no commit has taken out of the MLS group yet: any member may commit that. */
  readonly needsRemovalCommit: readonly string[];
}

export interface ConversationMember {
  readonly did: string;
  readonly joinedAt: Date;
  /** When the present role was given; undefined for those who joined with it. */
  readonly promotedAt: Date | undefined;
  readonly isAdmin: boolean;
  readonly isModerator: boolean;
}

/** The name that clients chose to show to the server; sealed at rest. */
export interface ConversationMetadata {
  readonly name?: string | undefined;
  readonly description?: string | undefined;
}

const groupIdHex = /^(?:[0-9a-f]{2})+$/;

/**
 * A conversation id is the lower-case hex of the MLS group id.
 * @throws AppError ConvoNotFound for anything else, as for a conversation that does not exist.
 */
export function parseConversationId(conversationId: string): Buffer {
  const groupId = decodeGroupId(conversationId);
  if (groupId === undefined) throw domainError('ConvoNotFound');
  return groupId;
}

/** The bytes of a group id in hex of either case, or undefined if it is not one of an allowed length. */
export function decodeGroupId(hex: string): Buffer | undefined {
  const lower = hex.toLowerCase();
  return lower.length <= limits.groupIdHexLengthMax && groupIdHex.test(lower) ? Buffer.from(lower, 'hex') : undefined;
}

export function formatConversationId(groupId: Uint8Array): string {
  return Buffer.from(groupId.buffer, groupId.byteOffset, groupId.byteLength).toString('hex');
}
