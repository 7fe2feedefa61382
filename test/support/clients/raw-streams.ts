import { once } from 'node:events';
import { get } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { decodeAll, encode } from '@atproto/lex-cbor';
import { WebSocket } from 'ws';
import { parseJson } from '#client/api/bytes.ts';
import { readFrame } from '#client/stream/frame.ts';
import type { ErrorFrame } from '#client/stream/frame.ts';
import { eventOf } from '#client/stream/stream-event.ts';
import { noteRefusal } from '../recorded-refusals.ts';
import { ReceivedEvents } from './received-events.ts';
import { errorNameOf } from './xrpc-client.ts';
import type { XrpcClient } from './xrpc-client.ts';

// Streams as the server sends them: with what the client package hides, such as refusals, close codes, comments and a slow reader.

const namespace = 'blue.catbird.mls';

/** The refusal of a stream, over WebSocket or as server-sent events. */
export class StreamRefused extends Error {
  override readonly name = 'StreamRefused';
  readonly status: number;
  readonly error: string;

  constructor(status: number, error: string) {
    super(`the stream was refused: ${status} ${error}`);
    this.status = status;
    this.error = error;
  }
}

interface RawStream extends Pick<ReceivedEvents, 'opened' | 'cursor' | 'events' | 'next'> {
  /** Stops reading from the network. */
  pause(): void;
  resume(): void;
}

export interface RawSocket extends RawStream {
  /** The error frame that ended the stream, if one did. */
  readonly error: ErrorFrame | undefined;
  /** Resolves when the socket is closed. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  /** Sends a typing frame, in JSON or in CBOR; public clients use both. */
  type(convoId: string, isTyping: boolean, form: 'json' | 'cbor'): void;
  close(): Promise<void>;
}

export interface RawSocketOptions {
  readonly cursor?: string | undefined;
  readonly convoId?: string | undefined;
  /** Default: a new one from getSubscriptionTicket. */
  readonly ticket?: string | undefined;
  /** URL of the server; default: the client's server. */
  readonly url?: string | undefined;
}

/** Opens subscribeConvoEvents; resolves when the socket is open. @throws StreamRefused. */
export async function openRawSocket(client: XrpcClient, options: RawSocketOptions = {}): Promise<RawSocket> {
  const { convoId, cursor } = options;
  const ticket = options.ticket ?? (await client.call('getSubscriptionTicket', { convoId })).ticket;
  const search = new URLSearchParams({ ticket, ...(cursor === undefined ? {} : { cursor }) });
  if (convoId !== undefined) search.set('convoId', convoId);
  const url = (options.url ?? client.server.url).replace(/^http/, 'ws');
  const socket = new WebSocket(`${url}/xrpc/${namespace}.subscribeConvoEvents?${search.toString()}`);
  // Listens before `open`, so that a frame in the same packet is not missed.
  const stream = readSocket(socket, new ReceivedEvents(cursor));
  const refused = once(socket, 'unexpected-response').then(async ([, response]: unknown[]) => {
    throw await refusalIn(response as IncomingMessage, 'subscribeConvoEvents');
  });
  await Promise.race([once(socket, 'open'), refused]);
  return stream;
}

function readSocket(socket: WebSocket, received: ReceivedEvents): RawSocket {
  let error: ErrorFrame | undefined;
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.once('close', (code, reason) => {
      received.end(error);
      resolve({ code, reason: reason.toString('utf8') });
    });
  });
  socket.on('error', () => undefined);
  socket.on('message', (data, isBinary) => {
    try {
      if (!isBinary || !Buffer.isBuffer(data)) throw new TypeError('a frame that is not binary');
      const frame = readFrame(data);
      if ('$type' in frame) {
        const [header] = [...decodeAll(data)] as { readonly t?: string }[];
        if (frame.$type !== `${namespace}.subscribeConvoEvents${header?.t}`)
          throw new TypeError('header and body differ');
        received.take(frame);
      } else {
        noteRefusal('subscribeConvoEvents', frame.error);
        error = frame;
      }
    } catch (thrown) {
      received.fail(thrown);
    }
  });
  return {
    events: received.events,
    opened: received.opened,
    get cursor() {
      return received.cursor;
    },
    get error() {
      return error;
    },
    closed,
    next: (...args) => received.next(...args),
    type(convoId, isTyping, form) {
      const frame = { $type: `${namespace}.subscribeConvoEvents#typing`, convoId, isTyping };
      socket.send(form === 'json' ? JSON.stringify(frame) : encode(frame));
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    async close() {
      socket.close(1000);
      await closed;
    },
  };
}

export interface RawServerSentEvents extends RawStream {
  readonly headers: IncomingHttpHeaders;
  /** The `id:` lines, one for each of `events`. */
  readonly ids: readonly string[];
  readonly comments: readonly string[];
  /** Resolves when the response ends; `aborted` if the connection closed before its end. */
  readonly ended: Promise<'complete' | 'aborted'>;
  close(): void;
}

export interface RawServerSentEventsOptions {
  readonly cursor?: string | undefined;
  readonly lastEventId?: string | undefined;
  readonly convoId?: string | undefined;
}

/** Opens streamConvoEvents; resolves when the headers have arrived. @throws StreamRefused. */
export async function openRawServerSentEvents(
  client: XrpcClient,
  options: RawServerSentEventsOptions = {},
): Promise<RawServerSentEvents> {
  const { convoId, cursor, lastEventId } = options;
  const search = new URLSearchParams();
  if (cursor !== undefined) search.set('cursor', cursor);
  if (convoId !== undefined) search.set('convoId', convoId);
  const headers = {
    Accept: 'text/event-stream',
    Authorization: `Bearer ${client.token('streamConvoEvents')}`,
    ...(lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId }),
  };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    // Uses its own socket, so that a paused response does not block others.
    const url = `${client.server.url}/xrpc/${namespace}.streamConvoEvents?${search.toString()}`;
    get(url, { headers, agent: false }, resolve).on('error', reject);
  });
  if (response.statusCode !== 200) throw await refusalIn(response, 'streamConvoEvents');
  return readServerSentEvents(response, new ReceivedEvents(lastEventId ?? cursor));
}

function readServerSentEvents(response: IncomingMessage, received: ReceivedEvents): RawServerSentEvents {
  const { events } = received;
  const [ids, comments] = [[] as string[], [] as string[]];
  let unread = '';
  const ended = new Promise<'complete' | 'aborted'>((resolve) => {
    response.on('close', () => {
      received.end('closed');
      resolve(response.complete ? 'complete' : 'aborted');
    });
  });
  function takeBlock(block: string): void {
    if (block.startsWith(':')) return void comments.push(block.slice(1).trim());
    const [, id, data] = /^id: (\S+)\ndata: (.+)$/.exec(block) ?? [];
    if (id === undefined || data === undefined) throw new TypeError('not an id and a data line');
    const event = eventOf(parseJson(data));
    if (event.cursor !== id) throw new TypeError('id and cursor differ');
    if ('info' in event && event.info?.startsWith('ConsumerTooSlow') === true)
      noteRefusal('streamConvoEvents', 'ConsumerTooSlow');
    const earlierCount = events.length;
    received.take(event);
    if (events.length > earlierCount) ids.push(id);
  }
  response.on('error', () => undefined);
  response.setEncoding('utf8');
  response.on('data', (chunk: string) => {
    const blocks = (unread + chunk).split('\n\n');
    unread = blocks.pop() ?? '';
    try {
      for (const block of blocks) takeBlock(block);
    } catch (thrown) {
      received.fail(thrown);
    }
  });
  return {
    headers: response.headers,
    events,
    ids,
    opened: received.opened,
    get cursor() {
      return received.cursor;
    },
    comments,
    ended,
    next: (...args) => received.next(...args),
    pause: () => response.pause(),
    resume: () => response.resume(),
    close: () => response.destroy(),
  };
}

async function refusalIn(response: IncomingMessage, method: string): Promise<StreamRefused> {
  const body = await text(response);
  const name = body === '' ? 'no body' : String(errorNameOf({ text: body }));
  noteRefusal(method, name);
  return new StreamRefused(response.statusCode ?? 0, name);
}
