import type { ApiClient } from '../api/api-client.ts';
import type { StreamEvent } from '../api/methods.ts';
export interface EventStreamOptions {
    /** Cursor of the last event that the app has processed; absent: the stream begins now. */
    readonly cursor?: string | undefined;
    /** Only events of this conversation; absent: all of the account. */
    readonly convoId?: string | undefined;
    /** `auto` (default): WebSocket where the runtime has it, server-sent events where it does not open. */
    readonly transport?: 'auto' | 'websocket' | 'server-sent-events';
    /** Ends the stream. */
    readonly signal?: AbortSignal;
    /** A connection without a byte for this long is opened again; default 300,000. */
    readonly idleTimeoutMs?: number;
    /** Longest wait between two connections; default 30,000. */
    readonly waitMaxMs?: number;
    /** Events that wait for the app at most, before the connection is closed until it has read them; default 1,000. */
    readonly queueMax?: number;
    /** Called for each change of the connection. */
    readonly onStateChange?: (state: StreamState) => void;
}
/** `open`: events arrive. `waiting`: the connection ended, and the next one is opened after a wait. */
export type StreamState = 'connecting' | 'open' | 'waiting' | 'closed';
/**
 * Live events of the account, in the order of the service, over as many connections as it takes. Each event of the log comes once:
 * the next connection begins behind the last event that the app has read.
 */
export interface EventStream extends AsyncIterable<StreamEvent> {
    /** Cursor of the last event that was read. Store it after the event's effects, to begin there after a restart. */
    readonly cursor: string | undefined;
    readonly state: StreamState;
    /** Reports that the person is typing or has stopped. It is not stored and may get lost. */
    sendTyping(convoId: string, isTyping: boolean): void;
    close(): void;
}
/**
 * Opens a stream for one reader. Iterating throws ApiError, StreamError or FrameError when another connection cannot help:
 * the token is refused, or the caller is not a member of `convoId`.
 */
export declare function openEventStream(api: ApiClient, options?: EventStreamOptions): EventStream;
