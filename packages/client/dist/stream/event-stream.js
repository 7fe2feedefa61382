import { ApiError, NoResponseError } from '../api/api-error.js';
import { retryDefaults, sleep, waitBeforeAttemptMs } from '../api/retry.js';
import { openServerSentEvents } from './server-sent-events.js';
import { isOpening } from './stream-event.js';
import { openWebSocket, SocketNotOpenedError } from './websocket.js';
/**
 * Opens a stream for one reader. Iterating throws ApiError, StreamError or FrameError when another connection cannot help:
 * the token is refused, or the caller is not a member of `convoId`.
 */
export function openEventStream(api, options = {}) {
    return new ResumingStream(api, options);
}
class ResumingStream {
    #options;
    #closing = new AbortController();
    #signal;
    #transports;
    #cursor;
    #state = 'connecting';
    #connection;
    #failuresInARow = 0;
    constructor(api, options) {
        const { signal } = this.#closing;
        this.#options = options;
        this.#signal = options.signal === undefined ? signal : AbortSignal.any([signal, options.signal]);
        this.#transports = createTransports(api, options.transport ?? 'auto');
        this.#cursor = options.cursor;
    }
    get cursor() {
        return this.#cursor;
    }
    get state() {
        return this.#state;
    }
    sendTyping(convoId, isTyping) {
        this.#connection?.sendTyping(convoId, isTyping);
    }
    close() {
        this.#closing.abort();
    }
    async *[Symbol.asyncIterator]() {
        try {
            while (!this.#signal.aborted) {
                const retryAfterSeconds = yield* this.#eventsOfOneConnection();
                if (this.#signal.aborted)
                    return;
                this.#enter('waiting');
                await this.#waitForReconnection(retryAfterSeconds);
            }
        }
        finally {
            this.#closing.abort();
            this.#enter('closed');
        }
    }
    /** @returns the wait that the service has asked for, in seconds. @throws what another connection cannot help with. */
    async *#eventsOfOneConnection() {
        try {
            this.#enter('connecting');
            this.#connection = await this.#transports.open({
                cursor: this.#cursor,
                convoId: this.#options.convoId,
                signal: this.#signal,
                idleTimeoutMs: this.#options.idleTimeoutMs ?? 300_000,
                queueMax: this.#options.queueMax ?? 1_000,
            });
            this.#enter('open');
            yield* this.#read(this.#connection);
            return undefined;
        }
        catch (error) {
            if (!this.#signal.aborted && !isTransient(error))
                throw error;
            return error instanceof ApiError ? error.retryAfterSeconds : undefined;
        }
        finally {
            this.#connection = undefined;
        }
    }
    async *#read(connection) {
        for await (const event of connection.events) {
            this.#failuresInARow = 0;
            this.#cursor = event.cursor;
            if (!isOpening(event))
                yield event;
        }
    }
    /** Waits longer after each failure in a row; a browser that comes back online does not wait. */
    async #waitForReconnection(retryAfterSeconds) {
        this.#failuresInARow += 1;
        const waitMs = waitBeforeAttemptMs(this.#failuresInARow + 1, retryAfterSeconds, {
            ...retryDefaults,
            waitMaxMs: this.#options.waitMaxMs ?? 30_000,
        });
        // Only browsers have this event.
        const target = globalThis;
        const online = new AbortController();
        const onOnline = () => online.abort();
        target.addEventListener?.('online', onOnline);
        try {
            await sleep(waitMs, AbortSignal.any([this.#signal, online.signal]));
        }
        catch {
            // Aborted: either the stream ends, or the wait does.
        }
        finally {
            target.removeEventListener?.('online', onOnline);
        }
    }
    #enter(next) {
        if (this.#state === next)
            return;
        this.#state = next;
        this.#options.onStateChange?.(next);
    }
}
/** WebSocket or server-sent events; with `auto`, a WebSocket that did not open is followed by server-sent events. */
function createTransports(api, transport) {
    let next = transport === 'auto' ? ('WebSocket' in globalThis ? 'websocket' : 'server-sent-events') : transport;
    return {
        async open(request) {
            if (next === 'server-sent-events') {
                const connection = await openServerSentEvents(api, request);
                return connection;
            }
            try {
                return await openWebSocket(api, request);
            }
            catch (error) {
                // Server-sent events show the reason of a refusal, which browsers hide for WebSockets.
                if (!(error instanceof SocketNotOpenedError) || transport !== 'auto')
                    throw error;
                const connection = await openServerSentEvents(api, request);
                next = 'server-sent-events';
                return connection;
            }
        },
    };
}
/** Whether another connection may succeed. */
function isTransient(error) {
    if (error instanceof ApiError)
        return error.status === 429 || error.status >= 500;
    return error instanceof NoResponseError || error instanceof SocketNotOpenedError;
}
