import { get } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { lexParse } from '@atproto/lex-json';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/subscribeConvoEvents.defs.ts';
import { isOpening, StreamRefused } from './event-stream.ts';
import type { EventStream, StreamEventOf, StreamMessage } from './event-stream.ts';
import { noteRefusal } from '../recorded-refusals.ts';
import { errorNameOf } from './xrpc-client.ts';
import type { XrpcClient } from './xrpc-client.ts';

const method = 'streamConvoEvents';
const namespace = 'blue.catbird.mls';
type Kind = Parameters<EventStream['next']>[0];

/** The client side of an open streamConvoEvents. */
export interface ServerSentEvents {
  readonly headers: IncomingHttpHeaders;
  /** All events received so far, without the opening event; each is checked against the lexicon of the WebSocket's events. */
  readonly events: readonly StreamMessage[];
  /** Resolves with the id of the opening event. */
  readonly opened: Promise<string>;
  /** The `id:` lines, one for each of `events`. */
  readonly ids: readonly string[];
  readonly comments: readonly string[];
  /** Resolves when the response ends; `aborted` if the connection closed before its end. */
  readonly ended: Promise<'complete' | 'aborted'>;
  /** Returns the next event of a kind for which `fits` is true, after the last returned one. @throws Error after ten seconds. */
  next<Name extends Kind>(kind: Name, fits?: (event: StreamEventOf<Name>) => boolean): Promise<StreamEventOf<Name>>;
  /** Stops reading from the network. */
  pause(): void;
  resume(): void;
  close(): void;
}

export interface ServerSentEventsOptions {
  readonly cursor?: string | undefined;
  readonly lastEventId?: string | undefined;
  readonly convoId?: string | undefined;
}

/** Opens streamConvoEvents; resolves when the headers have arrived. @throws StreamRefused. */
export async function openServerSentEvents(
  client: XrpcClient,
  options: ServerSentEventsOptions = {},
): Promise<ServerSentEvents> {
  const search = new URLSearchParams();
  if (options.cursor !== undefined) search.set('cursor', options.cursor);
  if (options.convoId !== undefined) search.set('convoId', options.convoId);
  const headers = {
    Accept: 'text/event-stream',
    Authorization: `Bearer ${client.token(method)}`,
    ...(options.lastEventId === undefined ? {} : { 'Last-Event-ID': options.lastEventId }),
  };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    // Uses its own socket, so that a paused response does not block others.
    const url = `${client.server.url}/xrpc/${namespace}.${method}?${search.toString()}`;
    get(url, { headers, agent: false }, resolve).on('error', reject);
  });
  if (response.statusCode !== 200) {
    const error = String(errorNameOf({ text: await text(response) }));
    noteRefusal(method, error);
    throw new StreamRefused(response.statusCode ?? 0, error);
  }
  return readEvents(response);
}

function readEvents(response: IncomingMessage): ServerSentEvents {
  const events: StreamMessage[] = [];
  const [ids, comments] = [[] as string[], [] as string[]];
  let unread = '';
  let position = 0;
  let failure: unknown;
  const opening = Promise.withResolvers<string>();
  const ended = new Promise<'complete' | 'aborted'>((resolve) => {
    response.on('close', () => resolve(response.complete ? 'complete' : 'aborted'));
  });
  response.on('error', () => undefined);
  response.setEncoding('utf8');
  response.on('data', (chunk: string) => {
    const blocks = (unread + chunk).split('\n\n');
    unread = blocks.pop() ?? '';
    try {
      for (const block of blocks) takeBlock(block);
    } catch (thrown) {
      failure = thrown;
    }
  });
  function takeBlock(block: string): void {
    if (block.startsWith(':')) return void comments.push(block.slice(1).trim());
    const [, id, data] = /^id: (\S+)\ndata: (.+)$/.exec(block) ?? [];
    if (id === undefined || data === undefined) throw new TypeError('not an id and a data line');
    const event = lexicon.message.parse(lexParse(data));
    if (!('cursor' in event) || event.cursor !== id) throw new TypeError('id and cursor differ');
    if ('info' in event && event.info.startsWith('ConsumerTooSlow')) noteRefusal(method, 'ConsumerTooSlow');
    if (isOpening(event)) return opening.resolve(id);
    ids.push(id);
    events.push(event);
  }
  return {
    headers: response.headers,
    events,
    ids,
    opened: opening.promise,
    comments,
    ended,
    async next<Name extends Kind>(kind: Name, fits: (event: StreamEventOf<Name>) => boolean = () => true) {
      const isWanted = (event: StreamMessage): event is StreamEventOf<Name> =>
        event.$type.endsWith(`#${kind}`) && fits(event as StreamEventOf<Name>);
      const deadlineMs = performance.now() + 10_000;
      while (performance.now() < deadlineMs) {
        if (failure !== undefined) throw failure;
        while (position < events.length) {
          const event = events[position++];
          if (event !== undefined && isWanted(event)) return event;
        }
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      throw new Error(`no ${kind} came`);
    },
    pause: () => response.pause(),
    resume: () => response.resume(),
    close: () => response.destroy(),
  };
}
