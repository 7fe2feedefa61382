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
const secret = 'secret words of did:plc:person';
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

function corsOf(response: Response): string[] {
  return [...response.headers.keys()].filter((name) => name.startsWith('access-control-'));
}

test('without allowed origins no response has CORS headers', async () => {
  const { origin } = await start('');
  const response = await fetch(`${origin}${describePath}`, {
    headers: { origin: page, authorization: 'Bearer alice' },
  });
  expect([response.status, corsOf(response), response.headers.get('vary')]).toEqual([200, [], null]);
});

test('a page of an allowed origin may read responses and errors, with the rate limit headers', async () => {
  const { origin } = await start(page);
  for (const authorization of ['Bearer alice', 'Bearer mallory']) {
    const response = await fetch(`${origin}${describePath}`, { headers: { origin: page, authorization } });
    expect(response.headers.get('access-control-allow-origin')).toBe(page);
    expect(response.headers.get('access-control-allow-credentials')).toBeNull();
    expect(response.headers.get('access-control-expose-headers')).toContain('Retry-After');
    expect(response.headers.get('vary')).toBe('Origin');
  }
});

test.each(['https://app.example.com.evil.test', 'http://app.example.com', 'null', 'https://APP.example.com'])(
  'a page of %s may not read responses',
  async (otherOrigin) => {
    const { origin } = await start(page);
    const headers = { origin: otherOrigin, authorization: 'Bearer alice', 'access-control-request-method': 'POST' };
    const response = await fetch(`${origin}${describePath}`, { headers });
    expect([corsOf(response), response.headers.get('vary')]).toEqual([[], 'Origin']);
    const preflight = await fetch(`${origin}${describePath}`, { method: 'OPTIONS', headers });
    expect([preflight.status, corsOf(preflight)]).toEqual([405, []]);
  },
);

test('a preflight needs no token, and is charged to the client address', async () => {
  const { origin, handled } = await start(page);
  const headers = { origin: page, 'access-control-request-method': 'POST' };
  const responses: Response[] = [];
  for (let count = 0; count < 5; count++)
    responses.push(await fetch(`${origin}${describePath}`, { method: 'OPTIONS', headers }));
  const [first, last] = [responses[0], responses.at(-1)];
  expect([first?.status, first?.headers.get('access-control-allow-methods')]).toEqual([204, 'GET, POST']);
  expect(first?.headers.get('access-control-allow-headers')).toContain('Authorization');
  expect(last?.status).toBe(429);
  expect(handled).toEqual([]);
});

test('a page of an allowed origin may open a stream', async () => {
  const { port } = await start(page);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/xrpc/com.example.watch?ticket=alice`, { origin: page });
  await once(socket, 'open');
  socket.terminate();
});

test('a page of the server itself may open a stream, and one of another port may not', async () => {
  const { port } = await start('');
  const url = `ws://127.0.0.1:${port}/xrpc/com.example.watch?ticket=alice`;
  const own = new WebSocket(url, { origin: `http://127.0.0.1:${port}` });
  await once(own, 'open');
  own.terminate();
  const other = new WebSocket(url, { origin: `http://127.0.0.1:${port + 1}` });
  const [error] = (await once(other, 'error')) as [Error];
  expect(error.message).toContain('403');
});

test('pings get pongs, and the WebSocket of a client that sends pings without reading is closed before pongs fill memory', async () => {
  const { port } = await start('');
  const url = `ws://127.0.0.1:${port}/xrpc/com.example.watch?ticket=alice`;
  const reader = new WebSocket(url);
  await once(reader, 'open');
  reader.ping('here');
  expect(String((await once(reader, 'pong'))[0])).toBe('here');
  reader.terminate();
  const flood = connect(port, '127.0.0.1').on('error', () => undefined);
  flood.pause();
  flood.write(upgradeTo());
  await systemClock.sleep(100);
  const pings = Buffer.concat(Array.from({ length: 2_000 }, () => frame(9, Buffer.alloc(125))));
  const startedMs = performance.now();
  let sentSizeBytes = 0;
  const isClosed = (): boolean => flood.destroyed || flood.readableEnded || !flood.writable;
  while (!isClosed() && sentSizeBytes < 200_000_000) {
    if (!flood.write(pings)) await Promise.race([once(flood, 'drain'), once(flood, 'close')]).catch(() => undefined);
    sentSizeBytes += pings.length;
  }
  expect(isClosed()).toBe(true);
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

test('a response that fails while it is written sends nothing of the error to the client or to the log', async () => {
  const printed = [vi.spyOn(console, 'error'), vi.spyOn(console, 'info')];
  const http = new Hono();
  http.get('/throws', () => Promise.reject(new Error(secret)));
  http.get('/breaks', () => new Response(new ReadableStream({ pull: () => Promise.reject(new Error(secret)) })));
  http.get('/status', () => Object.defineProperty(new Response('x'), 'status', { value: secret }));
  const { origin, lines } = await listenWith(http);
  for (const path of ['/throws', '/breaks', '/status']) {
    const response = await fetch(`${origin}${path}`);
    const text = await response.text();
    expect([response.status, JSON.parse(text)], path).toMatchObject([500, { error: 'InternalServerError' }]);
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(text).not.toContain('secret');
  }
  expect(lines).toHaveLength(3);
  expect(lines.join()).not.toContain('secret');
  expect(printed.flatMap((spy) => spy.mock.calls)).toEqual([]);
});

test('a response without headers of its own has the security headers', async () => {
  const http = new Hono();
  http.get('/plain', () => new Response('plain'));
  const { origin } = await listenWith(http);
  const response = await fetch(`${origin}/plain`);
  expect(await response.text()).toBe('plain');
  expect(response.headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'");
});

test('a connection closes with its thousandth response', async () => {
  const http = new Hono();
  let requestCount = 0;
  http.get('/plain', () => new Response(`number ${(requestCount += 1)}`));
  const { port } = await listenWith(http);
  const socket = connect(port, '127.0.0.1');
  socket.write('GET /plain HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(1_100));
  const text = (await socket.toArray()).join('');
  expect(text.split('HTTP/1.1 200 OK')).toHaveLength(1_001);
  expect(text).toMatch(/number 1000$/);
  expect(requestCount).toBe(1_000);
});

test('the connection of a client that does not read its response is closed', async () => {
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

test('a client that reads slowly but steadily gets its whole response', async () => {
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
