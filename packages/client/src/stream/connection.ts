import type { StreamEvent } from '../api/methods.ts';

/** Time until a connection has to be open. */
export const openTimeoutMs = 30_000;

/** What a connection needs to know. */
export interface ConnectionRequest {
  /** Where the stream begins; absent: now. */
  readonly cursor: string | undefined;
  readonly convoId: string | undefined;
  /** Ends the connection. */
  readonly signal: AbortSignal;
  /** A connection without a byte for this long is closed. */
  readonly idleTimeoutMs: number;
  /** Events that may wait for the reader; the connection is closed when more arrive. */
  readonly queueMax: number;
  /** Bytes that may wait for the reader. */
  readonly queueSizeBytesMax: number;
}

/** One connection; its events end when it does. */
export interface Connection {
  /**
   * Events in the order of the service, the opening notice included.
   * @throws StreamError, FrameError.
   */
  readonly events: AsyncIterable<StreamEvent>;
  /** Reports that the person is typing or has stopped; does nothing where the transport cannot. */
  sendTyping(convoId: string, isTyping: boolean): void;
}
