import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { edgeTimeouts } from '#edge/timeouts.ts';
import { startSampleApp } from '../xrpc/sample-app.ts';
import type { SampleApp } from '../xrpc/sample-app.ts';
import { authorization, describePath, get, head, host, jsonType, storePath } from './http-text.ts';

/** The result for a client that sends its whole request before it reads, as many HTTP libraries do. */
interface Received {
  readonly text: string;
  readonly sentSizeBytes: number;
  readonly failure: string | undefined;
  readonly waitedMs: number;
}

interface Request {
  readonly head: string;
  readonly sizeBytes: number;
  readonly framing?: 'chunked';
  /** Pause after each megabyte. */
  readonly pauseMs?: number;
}

const piece = Buffer.alloc(1_000_000, 'A');
const chunk = Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]);

let app: SampleApp;
beforeAll(async () => {
  app = await startSampleApp({ address: 100_000, addressBurst: 10_000 });
});
afterAll(() => app.stop());

async function sendWhole(request: Request): Promise<Received> {
  const socket = connect(app.port, '127.0.0.1');
  const received = { text: '', failure: undefined as string | undefined, isClosed: false };
  socket.on('error', (error: NodeJS.ErrnoException) => void (received.failure ??= error.code ?? error.message));
  socket.on('close', () => void (received.isClosed = true));
  socket.pause();
  await once(socket, 'connect');
  socket.write(request.head);
  let sentSizeBytes = 0;
  while (sentSizeBytes < request.sizeBytes && !received.isClosed) {
    const accepted = socket.write(request.framing === 'chunked' ? chunk : piece);
    if (!accepted) await drained(socket);
    sentSizeBytes += piece.length;
    if (request.pauseMs !== undefined) await sleep(request.pauseMs);
  }
  if (request.framing === 'chunked') socket.write('0\r\n\r\n');
  const startedMs = performance.now();
  socket.on('data', (data: Buffer) => void (received.text += data.toString('latin1'))).resume();
  while (!received.isClosed && !/\r\n\r\n.*\}$/s.test(received.text) && performance.now() - startedMs < 3_000)
    await sleep(5);
  socket.destroy();
  return { text: received.text, failure: received.failure, sentSizeBytes, waitedMs: performance.now() - startedMs };
}

async function drained(socket: Socket): Promise<void> {
  const isOver = new AbortController();
  const { signal } = isOver;
  await Promise.race([once(socket, 'drain', { signal }), once(socket, 'close', { signal })]).catch(() => undefined);
  isOver.abort();
}

const known = [host, authorization, jsonType];
const posts: readonly (readonly [name: string, start: readonly string[], status: number])[] = [
  ['a body over the limit', [`POST ${storePath} HTTP/1.1`, ...known], 413],
  ['a body without a token', [`POST ${storePath} HTTP/1.1`, host, jsonType], 401],
  ['a body for an unknown method', ['POST /xrpc/com.example.none HTTP/1.1', ...known], 501],
  ['a body for an unknown path', ['POST /nothing HTTP/1.1', ...known], 404],
  ['a body for a query', [`POST ${describePath} HTTP/1.1`, ...known], 405],
  ['a body for GET', [`GET ${describePath} HTTP/1.1`, ...known], 400],
  ['two hosts', [`POST ${storePath} HTTP/1.1`, host, ...known], 400],
];
const heads: readonly (readonly [name: string, start: string])[] = [
  ['a query parameter', `GET ${describePath}?colour=`],
  ['a path', 'GET /xrpc/'],
  ['a header', `GET ${describePath} HTTP/1.1\r\nX-Long: `],
  ['a token', `GET ${describePath} HTTP/1.1\r\n${host}\r\n${authorization}`],
];
const sizeBytes = 24_000_000;

const bodies = posts.flatMap(([name, start, status]) =>
  (['length', 'chunked'] as const).map((framing) => {
    const header = framing === 'chunked' ? 'Transfer-Encoding: chunked' : `Content-Length: ${sizeBytes}`;
    const request: Request = { head: head(...([...start, header] as [string])), sizeBytes };
    return [name, framing, status, framing === 'chunked' ? { ...request, framing } : request] as const;
  }),
);

test.for(bodies)('%s, framed by %s, is refused with %i, and the client can read the response', async (row) => {
  const [, , status, request] = row;
  const { text, failure, sentSizeBytes, waitedMs } = await sendWhole(request);
  expect([text.slice(0, 12), failure, sentSizeBytes]).toEqual([`HTTP/1.1 ${status}`, undefined, sizeBytes]);
  expect(text).toMatch(/\{"error":"\w+","message":".+"\}$/);
  expect(waitedMs).toBeLessThan(2_000);
});

test.for(heads)('%s of 24 MB is refused with an error body', async ([, start]) => {
  const { text, failure, sentSizeBytes, waitedMs } = await sendWhole({ head: start, sizeBytes });
  expect([text.slice(0, 12), failure, sentSizeBytes]).toEqual(['HTTP/1.1 431', undefined, sizeBytes]);
  expect(text).toContain('"error":"HeadersTooLarge"');
  expect(waitedMs).toBeLessThan(2_000);
});

test('a client on a slow line sends its whole request and then reads the response', { timeout: 30_000 }, async () => {
  const slow = { sizeBytes: 16_000_000, pauseMs: 150 };
  const requests = [
    ...posts.slice(0, 4).map(([, start]) => head(...([...start, 'Content-Length: 16000000'] as [string]))),
    ...heads.map(([, start]) => start),
  ];
  const outcomes = await Promise.all(requests.map((start) => sendWhole({ head: start, ...slow })));
  expect(outcomes.map(({ failure }) => failure)).toEqual(requests.map(() => undefined));
  expect(outcomes.map(({ text }) => text.slice(9, 12))).toEqual([
    '413',
    '401',
    '501',
    '404',
    '431',
    '431',
    '431',
    '431',
  ]);
});

test('a connection carries the next request when the refused one has arrived whole', async () => {
  const socket = connect(app.port, '127.0.0.1');
  let text = '';
  socket.on('data', (data: Buffer) => void (text += data.toString('latin1')));
  const start = head(`POST ${storePath} HTTP/1.1`, host, jsonType, 'Content-Length: 2000000');
  for (const part of [start, piece, piece, get()]) socket.write(part);
  await expect.poll(() => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(['401', '200']);
  socket.destroy();
});

test('the connection of a client that stops sending, or never stops, is closed', { timeout: 30_000 }, async () => {
  const start = head(`POST ${storePath} HTTP/1.1`, host, jsonType, 'Content-Length: 900000000');
  const openMs = async (everyMs: number | undefined): Promise<number> => {
    const socket = connect(app.port, '127.0.0.1').on('error', () => undefined);
    const startedMs = performance.now();
    const closed = once(socket, 'close');
    socket.resume().write(start);
    const timer =
      everyMs === undefined ? undefined : setInterval(() => socket.write(piece.subarray(0, 5_000)), everyMs);
    await closed.catch(() => undefined);
    clearInterval(timer);
    return performance.now() - startedMs;
  };
  const [silent, endless] = await Promise.all([openMs(undefined), openMs(100)]);
  expect(silent).toBeLessThan(4 * edgeTimeouts.lingerMs);
  expect(endless).toBeGreaterThan(edgeTimeouts.lingerTotalMs / 2);
  expect(endless).toBeLessThan(edgeTimeouts.lingerTotalMs + 4 * edgeTimeouts.lingerMs);
});
