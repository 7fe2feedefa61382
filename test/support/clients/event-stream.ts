import { once } from 'node:events';
import { decodeAll, encode } from '@atproto/lex-cbor';
import { WebSocket } from 'ws';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/subscribeConvoEvents.defs.ts';
import type { $Message } from '#xrpc/lexicon/blue/catbird/mls/subscribeConvoEvents.defs.ts';
import { noteRefusal } from '../recorded-refusals.ts';
import { errorNameOf } from './xrpc-client.ts';
import type { XrpcClient } from './xrpc-client.ts';

const namespace = 'blue.catbird.mls.subscribeConvoEvents';

/** An event of the contract. */
export type StreamMessage = Extract<$Message, { cursor: string }>;
type Kind = StreamMessage['$type'] extends infer Type
  ? Type extends `${typeof namespace}#${infer Name}`
    ? Name
    : never
  : never;
export type StreamEventOf<Name extends Kind> = Extract<StreamMessage, { $type: `${typeof namespace}#${Name}` }>;

/** The client side of a live subscription. */
export interface EventStream {
  /** All events received so far, without the opening frame; each is checked against the lexicon. */
  readonly events: readonly StreamMessage[];
  /** Resolves with the cursor of the opening frame. Servers of previous releases send none. */
  readonly opened: Promise<string>;
  /** The cursor of the last event or of the opening frame; before them, the cursor that the stream was opened with. */
  readonly cursor: string | undefined;
  /** The error frame that ended the stream, if one did. */
  readonly error: { readonly error: string; readonly message: string } | undefined;
  /** Resolves when the socket is closed. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  /** Returns the next event of a kind for which `fits` is true, after the last returned one. @throws Error after `timeoutMs`. */
  next<Name extends Kind>(
    kind: Name,
    fits?: (event: StreamEventOf<Name>) => boolean,
    timeoutMs?: number,
  ): Promise<StreamEventOf<Name>>;
  /** Sends a typing frame, in JSON or in CBOR; public clients use both. */
  type(convoId: string, isTyping: boolean, form?: 'json' | 'cbor'): void;
  /** Stops reading from the network. */
  pause(): void;
  resume(): void;
  close(): Promise<void>;
}

export interface EventStreamOptions {
  readonly cursor?: string | undefined;
  /** Only this conversation. */
  readonly convoId?: string | undefined;
  /** Default: a new one from getSubscriptionTicket. */
  readonly ticket?: string | undefined;
  /** URL of the server; default: the client's server. */
  readonly url?: string | undefined;
}

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

/** Opens subscribeConvoEvents; resolves when the socket is open. @throws StreamRefused. */
export async function openEventStream(client: XrpcClient, options: EventStreamOptions = {}): Promise<EventStream> {
  const { convoId, cursor } = options;
  const ticket = options.ticket ?? (await client.call('getSubscriptionTicket', { convoId })).ticket;
  const search = new URLSearchParams({ ticket, ...(cursor === undefined ? {} : { cursor }) });
  if (convoId !== undefined) search.set('convoId', convoId);
  const url = (options.url ?? client.server.url).replace(/^http/, 'ws');
  const socket = new WebSocket(`${url}/xrpc/${namespace}?${search.toString()}`);
  // Listens before `open`, so that a frame in the same packet is not missed.
  const stream = readEvents(socket, cursor);
  await opened(socket);
  return stream;
}

async function opened(socket: WebSocket): Promise<void> {
  const refused = new Promise<never>((_resolve, reject) => {
    socket.once('unexpected-response', (_request, response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
      response.on('end', () => {
        const name = text === '' ? 'no body' : String(errorNameOf({ text }));
        noteRefusal('subscribeConvoEvents', name);
        reject(new StreamRefused(response.statusCode ?? 0, name));
      });
    });
  });
  await Promise.race([once(socket, 'open'), refused]);
}

function readEvents(socket: WebSocket, startCursor: string | undefined): EventStream {
  const events: StreamMessage[] = [];
  const waiting = new Set<() => void>();
  const wake = (): void => waiting.forEach((look) => look());
  let position = 0;
  let cursor = startCursor;
  let error: EventStream['error'];
  let failure: unknown;
  const opening = Promise.withResolvers<string>();
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.once('close', (code, reason) => {
      resolve({ code, reason: reason.toString('utf8') });
      wake();
    });
  });
  socket.on('error', () => undefined);
  socket.on('message', (data, isBinary) => {
    try {
      if (!isBinary || !Buffer.isBuffer(data)) throw new TypeError('a frame that is not binary');
      const frame = parseFrame(data);
      if ('error' in frame) {
        noteRefusal('subscribeConvoEvents', frame.error);
        error = frame;
      } else {
        cursor = frame.cursor;
        if (!isOpening(frame)) events.push(frame);
        else if (events.length === 0) opening.resolve(frame.cursor);
        else throw new TypeError('a frame before the one that opens the stream');
      }
    } catch (thrown) {
      failure = thrown;
    }
    wake();
  });
  async function next<Name extends Kind>(
    kind: Name,
    fits: (event: StreamEventOf<Name>) => boolean = () => true,
    timeoutMs = 10_000,
  ): Promise<StreamEventOf<Name>> {
    const isWanted = (event: StreamMessage): event is StreamEventOf<Name> =>
      event.$type === `${namespace}#${kind}` && fits(event as StreamEventOf<Name>);
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      if (failure !== undefined) throw failure;
      for (; position < events.length;) {
        const event = events[position++];
        if (event !== undefined && isWanted(event)) return event;
      }
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) throw new Error(`no ${kind} came within ${timeoutMs} ms`);
      if (socket.readyState === socket.CLOSED)
        throw new Error(`the stream ended before a ${kind} came${reasonOf(error)}`);
      await changed(waiting, leftMs);
    }
  }
  return {
    events,
    opened: opening.promise,
    get cursor() {
      return cursor;
    },
    get error() {
      return error;
    },
    closed,
    next,
    type(convoId, isTyping, form = 'json') {
      const frame = { $type: `${namespace}#typing`, convoId, isTyping };
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

function reasonOf(error: EventStream['error']): string {
  return error === undefined ? '' : `: ${error.error}, ${error.message}`;
}

function changed(waiting: Set<() => void>, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      waiting.delete(done);
      resolve();
    };
    const timer = setTimeout(done, timeoutMs);
    waiting.add(done);
  });
}

/** Parses a frame, which is two DAG-CBOR maps, header and body. @throws Error when it violates the contract. */
function parseFrame(data: Buffer): StreamMessage | { error: string; message: string } {
  const [header, body, ...rest] = [...decodeAll(data)];
  if (!isMap(header) || !isMap(body) || rest.length > 0) throw new TypeError('a frame is two maps');
  if (header['op'] === -1) return { error: textIn(body, 'error'), message: textIn(body, 'message') };
  if (header['op'] !== 1 || body['$type'] !== `${namespace}${textIn(header, 't')}`)
    throw new TypeError('header and body differ');
  const message = lexicon.message.parse(body);
  if (!isNamed(message)) throw new TypeError('an event that the contract does not name');
  return message;
}

function textIn(map: Record<string, unknown>, field: string): string {
  const value = map[field];
  if (typeof value !== 'string') throw new TypeError(`${field} is no text`);
  return value;
}

/** Whether an event is the opening frame of a stream. */
export function isOpening(event: StreamMessage): boolean {
  return 'code' in event && event.code === 'streamOpened';
}

function isNamed(message: $Message): message is StreamMessage {
  return 'cursor' in message;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
