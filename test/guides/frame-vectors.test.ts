import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import type { ApiClient } from '#client/api/api-client.ts';
import { parseJson } from '#client/api/bytes.ts';
import { openServerSentEvents } from '#client/stream/server-sent-events.ts';
import { readFrame } from '#client/stream/frame.ts';
import { FrameError } from '#client/stream/stream-event.ts';
import type { FrameVector } from '../../bin/codegen/test-vectors/frame-vectors.ts';
import type { VectorFile } from '../../bin/codegen/test-vectors/vector-file.ts';
import { readVectors } from './read-vectors.ts';

const { vectors } = await readVectors<VectorFile<FrameVector>>('frames');
/** In the lexicon for other servers; this one sends neither. */
const neverSent = ['reactionEvent', 'readEvent'];

/** Reads a WebSocket message as the client does; `refused` for a FrameError. */
function readSocketMessage(hex: string): unknown {
  try {
    return readFrame(Uint8Array.from(Buffer.from(hex, 'hex')));
  } catch (error) {
    if (error instanceof FrameError) return 'refused';
    throw error;
  }
}

/** Reads a response with this text as the client does. */
async function readServerSentEvents(text: string): Promise<unknown[]> {
  const api: ApiClient = {
    serviceUrl: 'https://mls.example.com',
    getToken: async () => 'token',
    fetch: async () => new Response(text),
    call: () => Promise.reject(new Error('the stream makes no call')),
  };
  const signal = new AbortController().signal;
  const limits = { queueMax: 10, queueSizeBytesMax: 1_000_000 };
  const request = { cursor: undefined, convoId: undefined, signal, idleTimeoutMs: 10_000, ...limits };
  const { events } = await openServerSentEvents(api, request);
  const read: unknown[] = [];
  for await (const event of events) read.push(event);
  return read;
}

async function isWrong({ webSocket, serverSentEvents, body, outcome }: FrameVector): Promise<boolean> {
  const expected = outcome === 'refused' ? 'refused' : parseJson(JSON.stringify(body ?? null));
  if (webSocket !== undefined && !isDeepStrictEqual(readSocketMessage(webSocket), expected)) return true;
  return serverSentEvents !== undefined && !isDeepStrictEqual(await readServerSentEvents(serverSentEvents), [expected]);
}

async function wrongNames(planted: readonly FrameVector[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const vector of planted) if (await isWrong(vector)) wrong.push(vector.name);
  return wrong;
}

test('@nightjar/client reads each frame of frames.json as the file says', async () => {
  expect(await wrongNames(vectors)).toEqual([]);
});

test('frames.json has each event of the lexicon that this service sends', async () => {
  const lexicon = new URL('../../lexicons/blue/catbird/mls/subscribeConvoEvents.json', import.meta.url);
  const { defs } = JSON.parse(await readFile(lexicon, 'utf8')) as { defs: Record<string, unknown> };
  const events = Object.keys(defs).filter((name) => name.endsWith('Event') && !neverSent.includes(name));
  const shown = vectors.flatMap(({ header }) => (header as { t?: string } | undefined)?.t?.slice(1) ?? []);
  expect([...new Set(shown)].toSorted()).toEqual(events.toSorted());
});

test('wrong vectors are reported', async () => {
  const [first, second] = vectors;
  const refused = vectors.at(-1);
  if (first?.webSocket === undefined || second?.serverSentEvents === undefined || refused === undefined) {
    throw new Error('there are no vectors');
  }
  const planted: FrameVector[] = [
    { ...first, webSocket: first.webSocket.replace(/..$/, '00') },
    { ...second, serverSentEvents: second.serverSentEvents.replace('infoEvent', 'typingEvent') },
    { ...first, name: 'another body', body: { ...(first.body as object), code: 'cursorUnknown' } },
    { ...refused, outcome: 'error of the service' },
  ];
  expect(await wrongNames(planted)).toEqual([first.name, second.name, 'another body', refused.name]);
});
