import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { startSampleApp } from './sample-app.ts';
import type { SampleApp } from './sample-app.ts';

let service: SampleApp;
beforeAll(async () => void (service = await startSampleApp()));
afterAll(() => service.stop());

const url = (search: string): string => `ws://127.0.0.1:${service.port}/xrpc/com.example.watch?${search}`;

/** Status and headers of a refused upgrade. */
async function refusal(
  search: string,
): Promise<{ status: number | undefined; headers: NodeJS.Dict<string | string[]> }> {
  const socket = new WebSocket(url(search));
  socket.on('error', () => undefined);
  const [, response] = await once(socket, 'unexpected-response');
  socket.terminate();
  return { status: response.statusCode, headers: response.headers };
}

/** Sends `text` and returns everything that the server sends until it closes. */
async function exchange(text: string): Promise<string> {
  const socket = connect(service.port, '127.0.0.1');
  socket.end(text);
  let response = '';
  socket.on('data', (chunk) => (response += String(chunk)));
  await once(socket, 'close');
  return response;
}

test('a ticket opens a WebSocket that carries binary frames both ways', async () => {
  const socket = new WebSocket(url('ticket=alice&room=here'));
  const upgraded = once(socket, 'upgrade');
  const [first, isBinary] = await once(socket, 'message');
  expect([isBinary, [...first]]).toEqual([true, [0xa1, 0x00, 0x01]]);
  socket.send(Buffer.from([7, 8, 9]));
  const [echo] = await once(socket, 'message');
  expect([...echo]).toEqual([7, 8, 9]);
  const [response] = await upgraded;
  expect(response.headers['ratelimit-limit']).toBe('10000');
  expect(response.headers['x-request-id']).toMatch(/^[0-9a-f]{16}$/);
  socket.close();
  await once(socket, 'close');
});

test('without a valid ticket, or with an unknown room, no WebSocket opens', async () => {
  service.handled.splice(0);
  const [noTicket, badTicket, badRoom] = [
    await refusal(''),
    await refusal('ticket=eve'),
    await refusal('ticket=alice&room=nowhere'),
  ];
  expect([noTicket.status, badTicket.status, badRoom.status]).toEqual([401, 401, 404]);
  expect(badRoom.headers['ratelimit-limit']).toBe('10000');
  expect(service.handled).toEqual([]);
});

test('a plain GET gets 426 with Upgrade', async () => {
  const response = await fetch(`${service.origin}/xrpc/com.example.watch?ticket=alice`);
  expect([response.status, response.headers.get('upgrade')]).toEqual([426, 'websocket']);
  expect(await response.json()).toMatchObject({ error: 'UpgradeRequired' });
});

test.each([
  ['another protocol', 'GET /xrpc/com.example.watch?ticket=alice', 'h2c', ' 426 '],
  ['another path', 'GET /xrpc/com.example.describe', 'websocket', ' 200 '],
  ['another verb', 'POST /xrpc/com.example.watch?ticket=alice', 'websocket', ' 405 '],
])('an upgrade to %s gets a plain HTTP response and leaves no socket open', async (_what, line, protocol, status) => {
  const response = await exchange(
    `${line} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\nAuthorization: Bearer alice\r\n\r\n`,
  );
  expect(response.split('\r\n', 1)[0]).toContain(status);
  expect(response.split('\r\n\r\n')[1]).toMatch(/^\{/);
});

test('the service still responds after clients have reset their connection during the check of a ticket', async () => {
  const key = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n';
  for (let attempt = 0; attempt < 20; attempt++) {
    const socket = connect(service.port, '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(
      `GET /xrpc/com.example.watch?ticket=alice HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\n`,
    );
    socket.resetAndDestroy();
  }
  const socket = new WebSocket(url('ticket=alice'));
  await once(socket, 'message');
  socket.terminate();
});
