import type { ApiClient } from '../api/api-client.ts';
import { sleep, withSignal } from '../api/abort.ts';
import { ApiError, isTransient } from '../api/api-error.ts';
import type { StreamEvent } from '../api/methods.ts';
import { retryDefaults, waitBeforeAttemptMs } from '../api/retry.ts';
import type { Connection } from './connection.ts';
import { openServerSentEvents } from './server-sent-events.ts';
import { isOpening } from './stream-event.ts';
import { openWebSocket, SocketNotOpenedError } from './websocket.ts';

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
  /** The same for the size of what waits; default 32 MiB. */
  readonly queueSizeBytesMax?: number;
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
export function openEventStream(api: ApiClient, options: EventStreamOptions = {}): EventStream {
  return new ResumingStream(api, options);
}

class ResumingStream implements EventStream {
  readonly #options: EventStreamOptions;
  readonly #closing = new AbortController();
  readonly #signal: AbortSignal;
  readonly #transports: Transports;
  #cursor: string | undefined;
  #state: StreamState = 'connecting';
  #connection: Connection | undefined;
  #failuresInARow = 0;

  constructor(api: ApiClient, options: EventStreamOptions) {
    this.#options = options;
    this.#signal = this.#closing.signal;
    if (options.signal?.aborted === true) this.close();
    options.signal?.addEventListener('abort', () => this.close(), { once: true, signal: this.#signal });
    this.#transports = createTransports(api, options.transport ?? 'auto');
    this.#cursor = options.cursor;
  }

  get cursor(): string | undefined {
    return this.#cursor;
  }

  get state(): StreamState {
    return this.#state;
  }

  sendTyping(convoId: string, isTyping: boolean): void {
    this.#connection?.sendTyping(convoId, isTyping);
  }

  close(): void {
    this.#closing.abort();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StreamEvent, void, undefined> {
    try {
      while (!this.#signal.aborted) {
        const retryAfterSeconds = yield* this.#eventsOfOneConnection();
        if (this.#signal.aborted) return;
        this.#enter('waiting');
        await this.#waitForReconnection(retryAfterSeconds);
      }
    } finally {
      this.#closing.abort();
      this.#enter('closed');
    }
  }

  /** @returns the wait that the service has asked for, in seconds. @throws what another connection cannot help with. */
  async *#eventsOfOneConnection(): AsyncGenerator<StreamEvent, number | undefined, undefined> {
    try {
      this.#enter('connecting');
      this.#connection = await this.#transports.open({
        cursor: this.#cursor,
        convoId: this.#options.convoId,
        signal: this.#signal,
        idleTimeoutMs: this.#options.idleTimeoutMs ?? 300_000,
        queueMax: this.#options.queueMax ?? 1_000,
        queueSizeBytesMax: this.#options.queueSizeBytesMax ?? 33_554_432,
      });
      this.#enter('open');
      yield* this.#read(this.#connection);
      return undefined;
    } catch (error) {
      if (!this.#signal.aborted && !isTransient(error) && !(error instanceof SocketNotOpenedError)) throw error;
      return error instanceof ApiError ? error.retryAfterSeconds : undefined;
    } finally {
      this.#connection = undefined;
    }
  }

  async *#read(connection: Connection): AsyncGenerator<StreamEvent, void, undefined> {
    for await (const event of connection.events) {
      this.#failuresInARow = 0;
      this.#cursor = event.cursor;
      if (!isOpening(event)) yield event;
    }
  }

  /** Waits longer after each failure in a row; a browser that comes back online does not wait. */
  async #waitForReconnection(retryAfterSeconds: number | undefined): Promise<void> {
    this.#failuresInARow += 1;
    const waitMs = waitBeforeAttemptMs(this.#failuresInARow + 1, retryAfterSeconds, {
      ...retryDefaults,
      waitMaxMs: this.#options.waitMaxMs ?? 30_000,
    });
    // Only browsers have this event.
    const target = globalThis as Partial<Pick<EventTarget, 'addEventListener' | 'removeEventListener'>>;
    const online = new AbortController();
    const onOnline = (): void => online.abort();
    target.addEventListener?.('online', onOnline);
    try {
      await withSignal([this.#signal, online.signal], undefined, (signal) => sleep(waitMs, signal));
    } catch {
      // Aborted: either the stream ends, or the wait does.
    } finally {
      target.removeEventListener?.('online', onOnline);
    }
  }

  #enter(next: StreamState): void {
    if (this.#state === next) return;
    this.#state = next;
    this.#options.onStateChange?.(next);
  }
}

interface Transports {
  open(request: Parameters<typeof openWebSocket>[1]): Promise<Connection>;
}

/**
 * WebSocket or server-sent events. With `auto`, a WebSocket that did not open is followed by server-sent events. Where no WebSocket has
 * opened so far, the next connections are server-sent events at once: a proxy may block WebSockets.
 */
function createTransports(api: ApiClient, transport: NonNullable<EventStreamOptions['transport']>): Transports {
  let hasOpened = false;
  let isBlocked = !('WebSocket' in globalThis);
  return {
    async open(request) {
      if (transport === 'server-sent-events') return openServerSentEvents(api, request);
      if (transport === 'websocket') return openWebSocket(api, request);
      if (isBlocked) return openServerSentEvents(api, request);
      try {
        const connection = await openWebSocket(api, request);
        hasOpened = true;
        return connection;
      } catch (error) {
        // Server-sent events show the reason of a refusal, which browsers hide for WebSockets.
        if (!(error instanceof SocketNotOpenedError)) throw error;
        const connection = await openServerSentEvents(api, request);
        isBlocked = !hasOpened;
        return connection;
      }
    },
  };
}
