/** A row of `messages`; `body` is the ciphertext, sealed for commits and proposals. */
export interface MessageRow {
  readonly groupId: Buffer;
  readonly seq: number;
  readonly epoch: number;
  readonly kind: number;
  readonly msgId: string;
  readonly receivedAt: Date;
  readonly body: Buffer;
}
