import { once } from 'node:events';
import { connect } from 'node:net';
import { Hono } from 'hono';
import { afterEach, expect, test, vi } from 'vitest';
import WebSocket from 'ws';
import { edgeTimeouts } from '#edge/timeouts.ts';
import { systemClock } from '#platform/clock.ts';
import { readConfig } from '#platform/config/config.ts';
import { createLogger } from '#platform/logging/logger.ts';
import { listen } from '../../src/server/listen.ts';
import { startSampleApp } from '../xrpc/sample-app.ts';
import { frame, upgradeTo } from './http-text.ts';
import type { SampleApp } from '../xrpc/sample-app.ts';

const page = 'https://app.example.com';
const secret = 'secret words of did:plc:somebody';
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function start(origins: string): Promise<SampleApp> {
  const service = await startSampleApp({ env: { CORS_ALLOW_ORIGINS: origins }, addressBurst: 4, address: 60 });
  closers.push(() => service.stop());
  return service;
}

const describePath = '/xrpc/com.example.describe';

function corsOf(answer: Response): string[] {
  return [...answer.headers.keys()].filter((name) => name.startsWith('access-control-'));
}

test('without a list no page of another origin may read an answer', async () => {
  const { origin } = await start('');
  const answer = await fetch(`${origin}${describePath}`, { headers: { origin: page, authorization: 'Bearer alice' } });
  expect([answer.status, corsOf(answer), answer.headers.get('vary')]).toEqual([200, [], null]);
});

test('a page on the list may read answers and refusals, with the headers that say when to come again', async () => {
  const { origin } = await start(page);
  for (const authorization of ['Bearer alice', 'Bearer mallory']) {
    const answer = await fetch(`${origin}${describePath}`, { headers: { origin: page, authorization } });
    expect(answer.headers.get('access-control-allow-origin')).toBe(page);
    expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
    expect(answer.headers.get('access-control-expose-headers')).toContain('Retry-After');
    expect(answer.headers.get('vary')).toBe('Origin');
  }
});

test.each(['https://app.example.com.evil.test', 'http://app.example.com', 'null', 'https://APP.example.com'])(
  'a page of %s may not',
  async (stranger) => {
    const { origin } = await start(page);
    const headers = { origin: stranger, authorization: 'Bearer alice', 'access-control-request-method': 'POST' };
    const answer = await fetch(`${origin}${describePath}`, { headers });
    expect([corsOf(answer), answer.headers.get('vary')]).toEqual([[], 'Origin']);
    const preflight = await fetch(`${origin}${describePath}`, { method: 'OPTIONS', headers });
    expect([preflight.status, corsOf(preflight)]).toEqual([405, []]);
  },
);

test('a preflight is answered without a token, and costs the address', async () => {
  const { origin, handled } = await start(page);
  const headers = { origin: page, 'access-control-request-method': 'POST' };
  const answers: Response[] = [];
  for (let count = 0; count < 5; count++)
    answers.push(await fetch(`${origin}${describePath}`, { method: 'OPTIONS', headers }));
  const [first, last] = [answers[0], answers.at(-1)];
  expect([first?.status, first?.headers.get('access-control-allow-methods')]).toEqual([204, 'GET, POST']);
  expect(first?.headers.get('access-control-allow-headers')).toContain('Authorization');
  expect(last?.status).toBe(429);
  expect(handled).toEqual([]);
});

test('a page on the list may open a stream', async () => {
  const { port } = await start(page);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/xrpc/com.example.watch?ticket=alice`, { origin: page });
  await once(socket, 'open');
  socket.terminate();
});

test('pings are answered, and a peer that sends them without reading the answers is cut before they fill memory', async () => {
  const { port } = await start('');
  const url = `ws://127.0.0.1:${port}/xrpc/com.example.watch?ticket=alice`;
  const polite = new WebSocket(url);
  await once(polite, 'open');
  polite.ping('here');
  expect(String((await once(polite, 'pong'))[0])).toBe('here');
  polite.terminate();
  const flood = connect(port, '127.0.0.1').on('error', () => undefined);
  flood.pause();
  flood.write(upgradeTo());
  await systemClock.sleep(100);
  const pings = Buffer.concat(Array.from({ length: 2_000 }, () => frame(9, Buffer.alloc(125))));
  const startedMs = performance.now();
  let sentSizeBytes = 0;
  const isCut = (): boolean => flood.destroyed || flood.readableEnded || !flood.writable;
  while (!isCut() && sentSizeBytes < 200_000_000) {
    if (!flood.write(pings)) await Promise.race([once(flood, 'drain'), once(flood, 'close')]).catch(() => undefined);
    sentSizeBytes += pings.length;
  }
  expect(isCut()).toBe(true);
  expect(performance.now() - startedMs).toBeLessThan(20_000);
  flood.destroy();
});

async function listenWith(http: Hono): Promise<{ origin: string; port: number; lines: string[] }> {
  const lines: string[] = [];
  const logger = createLogger('trace', { write: (line) => void lines.push(line) });
  const where = { host: '127.0.0.1', port: 0, clock: systemClock, logger, config: readConfig({ NODE_ENV: 'test' }) };
  const timeouts = { ...edgeTimeouts, drainMs: 500 };
  const { listener } = await listen({ ...where, timeouts }, () => ({
    respondToXrpc: () => Promise.reject(new Error('no request for XRPC')),
    http,
    endpoints: [],
    openStreams: new Set(),
  }));
  closers.push(() => listener.stop());
  return { origin: `http://127.0.0.1:${listener.port}`, port: listener.port, lines };
}

test('an answer that fails on its way out gives nothing of the error away, neither to the client nor to the log', async () => {
  const printed = [vi.spyOn(console, 'error'), vi.spyOn(console, 'info')];
  const http = new Hono();
  http.get('/throws', () => Promise.reject(new Error(secret)));
  http.get('/breaks', () => new Response(new ReadableStream({ pull: () => Promise.reject(new Error(secret)) })));
  http.get('/status', () => Object.defineProperty(new Response('x'), 'status', { value: secret }));
  const { origin, lines } = await listenWith(http);
  for (const path of ['/throws', '/breaks', '/status']) {
    const answer = await fetch(`${origin}${path}`);
    const text = await answer.text();
    expect([answer.status, JSON.parse(text)], path).toMatchObject([500, { error: 'InternalServerError' }]);
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(text).not.toContain('secret');
  }
  expect(lines).toHaveLength(3);
  expect(lines.join()).not.toContain('secret');
  expect(printed.flatMap((spy) => spy.mock.calls)).toEqual([]);
});

test('an answer that sets no header of its own has the security headers', async () => {
  const http = new Hono();
  http.get('/plain', () => new Response('plain'));
  const { origin } = await listenWith(http);
  const answer = await fetch(`${origin}/plain`);
  expect(await answer.text()).toBe('plain');
  expect(answer.headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'");
});

test('a connection ends with its thousandth answer', async () => {
  const http = new Hono();
  let asked = 0;
  http.get('/plain', () => new Response(`number ${(asked += 1)}`));
  const { port } = await listenWith(http);
  const socket = connect(port, '127.0.0.1');
  socket.write('GET /plain HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(1_100));
  const text = (await socket.toArray()).join('');
  expect(text.split('HTTP/1.1 200 OK')).toHaveLength(1_001);
  expect(text).toMatch(/number 1000$/);
  expect(asked).toBe(1_000);
});

test('a peer that does not read its answer loses the connection', async () => {
  const http = new Hono();
  http.get('/large', () => new Response(Buffer.alloc(30_000_000)));
  const { port } = await listenWith(http);
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  await once(socket, 'connect');
  socket.pause();
  const startedMs = performance.now();
  socket.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
  await systemClock.sleep(2_500);
  let sizeBytes = 0;
  socket.on('data', (chunk) => void (sizeBytes += chunk.length)).resume();
  await once(socket, 'close');
  expect(sizeBytes).toBeLessThan(30_000_000);
  expect(performance.now() - startedMs).toBeLessThan(10_000);
});

test('a peer that reads slowly but steadily gets its whole answer', async () => {
  const http = new Hono();
  http.get('/large', () => new Response(Buffer.alloc(12_000_000)));
  const { port } = await listenWith(http);
  const socket = connect(port, '127.0.0.1');
  socket.write('GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  let sizeBytes = 0;
  socket.on('data', (chunk) => {
    sizeBytes += chunk.length;
    socket.pause();
    void systemClock.sleep(5).then(() => socket.resume());
  });
  await once(socket, 'close');
  expect(sizeBytes).toBeGreaterThan(12_000_000);
});
