import type { ApiClient } from '../api/api-client.ts';
import type { StreamEvent } from '../api/methods.ts';
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
  const search = new URLSearchParams({ ticket });
  if (cursor !== undefined) search.set('cursor', cursor);
  if (convoId !== undefined) search.set('convoId', convoId);
  const origin = api.serviceUrl.replace(/^http/, 'ws');
  const socket = new WebSocket(`${origin}/xrpc/blue.catbird.mls.subscribeConvoEvents?${search.toString()}`);
  socket.binaryType = 'arraybuffer';
  const queue = createEventQueue<StreamEvent>();
  readInto(queue, socket, request);
  await opened(socket);
  return {
    events: queue,
    sendTyping(convo, isTyping) {
      const $type = 'blue.catbird.mls.subscribeConvoEvents#typing';
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ $type, convoId: convo, isTyping }));
    },
  };
}

function opened(socket: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.addEventListener('open', () => resolve(), { once: true });
    socket.addEventListener('close', () => reject(new SocketNotOpenedError('the WebSocket did not open')), {
      once: true,
    });
  });
}

/** Reads frames until the socket closes, too many events wait, or nothing arrives for the idle time. */
function readInto(queue: EventQueue<StreamEvent>, socket: WebSocket, request: ConnectionRequest): void {
  const { signal, idleTimeoutMs, queueMax } = request;
  const close = (error?: unknown): void => {
    clearTimeout(idle);
    signal.removeEventListener('abort', onAbort);
    queue.end(error);
    socket.close();
  };
  const onAbort = (): void => close();
  let idle = setTimeout(close, idleTimeoutMs);
  signal.addEventListener('abort', onAbort, { once: true });
  socket.addEventListener('close', () => close());
  socket.addEventListener('message', ({ data }: { readonly data: unknown }) => {
    clearTimeout(idle);
    idle = setTimeout(close, idleTimeoutMs);
    if (!(data instanceof ArrayBuffer)) return;
    try {
      const frame = readFrame(new Uint8Array(data));
      if ('$type' in frame) queue.push(frame);
      else close(resumableErrors.has(frame.error) ? undefined : new StreamError(frame.error, frame.message));
    } catch (error) {
      close(error);
    }
    // The reader takes what waits, and then the stream resumes behind the last event.
    if (queue.length >= queueMax) close();
  });
}
