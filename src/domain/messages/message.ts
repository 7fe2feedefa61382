/**
 * Kinds of stored messages; the numbers are stored. Commits and proposals in clear are sealed at rest, because a PublicMessage shows
 * leaves; encrypted proposals cannot be told from other messages and count as those.
 */
export const messageKinds = { app: 1, commit: 2, proposal: 3 } as const;

/** A message as a member may see it (lexicon `messageView`). */
export interface Message {
  /** The client's own msgId; for a commit, an id derived from its bytes. */
  readonly id: string;
  readonly groupId: Buffer;
  readonly seq: number;
  /** For a commit, the epoch that it made. */
  readonly epoch: number;
  readonly kind: 'app' | 'commit';
  readonly receivedAt: Date;
  readonly ciphertext: Buffer;
}

/** What the sender of a message learns. */
export interface SentMessage {
  readonly seq: number;
  readonly epoch: number;
  /** Rounded down to the time bucket. */
  readonly receivedAt: Date;
}

/** A ULID or a UUID, as public clients send (wire contract A.3). */
export function isMessageId(id: string): boolean {
  return /^[0-9A-Za-z]{26}$/.test(id) || /^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/.test(id);
}
