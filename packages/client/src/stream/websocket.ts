import type { ApiClient } from '../api/api-client.ts';
import type { StreamEvent } from '../api/methods.ts';
import { openTimeoutMs } from './connection.ts';
import type { Connection, ConnectionRequest } from './connection.ts';
import { createEventQueue } from './event-queue.ts';
import type { EventQueue } from './event-queue.ts';
import { readFrame } from './frame.ts';
import { StreamError } from './stream-event.ts';

/** Errors after which the next connection resumes with the last cursor. */
const resumableErrors: ReadonlySet<string> = new Set(['ConsumerTooSlow', 'InternalError']);

/** The socket did not open: a proxy may block WebSockets, or the service refused the request. */
export class SocketNotOpenedError extends Error {
  override readonly name = 'SocketNotOpenedError';
}

/**
 * Opens subscribeConvoEvents with a ticket.
 * @throws ApiError when the service gives no ticket.
 * @throws SocketNotOpenedError; browsers do not show the reason.
 */
export async function openWebSocket(api: ApiClient, request: ConnectionRequest): Promise<Connection> {
  const { convoId, cursor, signal } = request;
  const { ticket } = await api.call('getSubscriptionTicket', convoId === undefined ? {} : { convoId }, { signal });
  signal.throwIfAborted();
  const search = new URLSearchParams({ ticket });
  if (cursor !== undefined) search.set('cursor', cursor);
  if (convoId !== undefined) search.set('convoId', convoId);
  const origin = api.serviceUrl.replace(/^http/, 'ws');
  const socket = new WebSocket(`${origin}/xrpc/blue.catbird.mls.subscribeConvoEvents?${search.toString()}`);
  socket.binaryType = 'arraybuffer';
  const queue = createEventQueue<StreamEvent>();
  await opened(socket, readInto(queue, socket, request));
  return {
    events: queue,
    sendTyping(convo, isTyping) {
      const $type = 'blue.catbird.mls.subscribeConvoEvents#typing';
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ $type, convoId: convo, isTyping }));
    },
  };
}

function opened(socket: WebSocket, ended: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.addEventListener('open', () => resolve(), { once: true });
    // A socket that waits for the network does not report that it was closed.
    const onEnd = (): void => reject(new SocketNotOpenedError('the WebSocket did not open'));
    ended.addEventListener('abort', onEnd, { once: true });
  });
}

/**
 * Reads frames until the socket closes, too much waits for the reader, or nothing arrives for the idle time.
 * @returns a signal that is aborted then.
 */
function readInto(queue: EventQueue<StreamEvent>, socket: WebSocket, request: ConnectionRequest): AbortSignal {
  const { signal, idleTimeoutMs, queueMax, queueSizeBytesMax } = request;
  const ended = new AbortController();
  const close = (error?: unknown): void => {
    clearTimeout(idle);
    ended.abort();
    queue.end(error);
    socket.close();
  };
  // The service sends the opening notice at once.
  let idle = setTimeout(close, Math.min(idleTimeoutMs, openTimeoutMs));
  signal.addEventListener('abort', () => close(), { once: true, signal: ended.signal });
  socket.addEventListener('close', () => close(), { signal: ended.signal });
  const onMessage = ({ data }: { readonly data: unknown }): void => {
    clearTimeout(idle);
    idle = setTimeout(close, idleTimeoutMs);
    if (!(data instanceof ArrayBuffer)) return;
    try {
      const frame = readFrame(new Uint8Array(data));
      if ('$type' in frame) queue.push(frame, data.byteLength);
      else close(resumableErrors.has(frame.error) ? undefined : new StreamError(frame.error, frame.message));
    } catch (error) {
      close(error);
    }
    // The reader takes what waits, and then the stream resumes behind the last event.
    if (queue.length >= queueMax || queue.sizeBytes >= queueSizeBytesMax) close();
  };
  socket.addEventListener('message', onMessage, { signal: ended.signal });
  return ended.signal;
}
