/**
 * The numbers under which kinds of messages are stored. Commits and proposals in clear are sealed at rest, because a
 * PublicMessage shows leaves, and encrypted proposals are stored as `app`.
 */
export const messageKinds = { app: 1, commit: 2, proposal: 3 } as const;

/** A message as members see it (lexicon `messageView`). */
export interface Message {
  /** The msgId that the client chose; for a commit, an id derived from its bytes. */
  readonly id: string;
  readonly groupId: Buffer;
  readonly seq: number;
  /** The epoch in which the message was made, or for a commit the epoch that it started. */
  readonly epoch: number;
  readonly kind: 'app' | 'commit';
  readonly receivedAt: Date;
  readonly ciphertext: Buffer;
}

/** The response to the sender of a message, with the number that the message got. */
export interface SentMessage {
  readonly seq: number;
  readonly epoch: number;
  /** Rounded down to the time bucket. */
  readonly receivedAt: Date;
}

/** Returns whether the id is a ULID or a UUID, which are the two forms that public clients send. */
export function isMessageId(id: string): boolean {
  return /^[0-9A-Za-z]{26}$/.test(id) || /^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/.test(id);
}
