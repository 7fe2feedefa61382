import { openServerSentEvents } from '#client/stream/server-sent-events.ts';
import { FrameError } from '#client/stream/stream-event.ts';
import { openWebSocket } from '#client/stream/websocket.ts';
import { clientApi } from '../../client/client-api.ts';
import { ReceivedEvents } from './received-events.ts';
import type { XrpcClient } from './xrpc-client.ts';

export interface EventStreamOptions {
  readonly cursor?: string | undefined;
  /** Only this conversation. */
  readonly convoId?: string | undefined;
  /** Default: WebSocket. */
  readonly transport?: 'websocket' | 'server-sent-events' | undefined;
}

/** One connection of the client package, which does not resume by itself, so that a test sees when it ends. */
export interface EventStream extends Pick<ReceivedEvents, 'opened' | 'cursor' | 'events' | 'next'> {
  /** Resolves when the connection has ended. */
  readonly ended: Promise<void>;
  type(convoId: string, isTyping: boolean): void;
  close(): Promise<void>;
}

const idleTimeoutMs = 300_000;
const queueMax = 100_000;
const queueSizeBytesMax = 1_073_741_824;

/** Opens a stream and reads it. @throws ApiError, SocketNotOpenedError. */
export async function openEventStream(client: XrpcClient, options: EventStreamOptions = {}): Promise<EventStream> {
  const { convoId, cursor, transport = 'websocket' } = options;
  const closing = new AbortController();
  const request = { cursor, convoId, signal: closing.signal, idleTimeoutMs, queueMax, queueSizeBytesMax };
  const open = transport === 'websocket' ? openWebSocket : openServerSentEvents;
  const connection = await open(clientApi(client.account, client.server, { retry: { attemptsMax: 1 } }), request);
  const received = new ReceivedEvents(cursor);
  const reading = (async () => {
    for await (const event of connection.events) received.take(event);
  })();
  const ended = reading.then(
    () => received.end('closed'),
    (error: unknown) => (error instanceof FrameError ? received.fail(error) : received.end(error)),
  );
  return {
    events: received.events,
    opened: received.opened,
    get cursor() {
      return received.cursor;
    },
    ended,
    next: (...args) => received.next(...args),
    type: (convo, isTyping) => connection.sendTyping(convo, isTyping),
    close() {
      closing.abort();
      return ended;
    },
  };
}
