export interface MessageRow {
  readonly groupId: Buffer;
  readonly seq: number;
  readonly epoch: number;
  readonly kind: number;
  readonly msgId: string;
  readonly receivedAt: Date;
  /** The ciphertext, which is sealed for commits and for proposals in clear. */
  readonly body: Buffer;
}
