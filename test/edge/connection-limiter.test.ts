import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createConnectionLimiter } from '#edge/connection-limiter.ts';
import type { ConnectionLimiter, ConnectionLimits } from '#edge/connection-limiter.ts';
import { createManualClock } from '../support/manual-clock.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import { startSampleApp } from '../xrpc/sample-app.ts';
import type { SampleApp } from '../xrpc/sample-app.ts';

function limiterWith(limits: Partial<ConnectionLimits> = {}): { limiter: ConnectionLimiter; clock: ManualClock } {
  const clock = createManualClock(0);
  const limiter = createConnectionLimiter({
    clock,
    limits: { perAddressMax: 64, perSecondMax: 10, prefixesMax: 1_000, ...limits },
    isExempt: (address) => address === '10.0.0.1',
  });
  return { limiter, clock };
}

test('an address over its limit of open connections is refused until one closes', () => {
  const { limiter, clock } = limiterWith();
  const closers = Array.from({ length: 64 }, () => limiter.open('192.0.2.1'));
  expect(closers.every((close) => close !== undefined)).toBe(true);
  clock.advance(60_000);
  expect(limiter.open('192.0.2.1')).toBeUndefined();
  expect(limiter.open('::ffff:192.0.2.1')).toBeUndefined();
  expect(limiter.open('192.0.2.2')).toBeDefined();
  closers[0]?.();
  expect(limiter.open('192.0.2.1')).toBeDefined();
});

test('short connections are limited to their rate after a burst', () => {
  const { limiter, clock } = limiterWith({ perAddressMax: 5 });
  const openAndClose = (): boolean => {
    const close = limiter.open('192.0.2.1');
    close?.();
    return close !== undefined;
  };
  expect(Array.from({ length: 8 }, openAndClose).filter(Boolean)).toHaveLength(5);
  let admitted = 0;
  for (let at = 0; at < 1_000; at += 5) {
    clock.advance(5);
    if (openAndClose()) admitted += 1;
  }
  expect(admitted).toBe(10);
});

test('all addresses of one IPv6 /64 share a limit; those of another /64 have their own', () => {
  const { limiter } = limiterWith();
  const admitted = Array.from({ length: 1_000 }, (_, at) => limiter.open(`2001:db8::${at.toString(16)}`));
  expect(admitted.filter((close) => close !== undefined)).toHaveLength(64);
  expect(limiter.open('2001:db8:0:1::1')).toBeDefined();
});

test('an exempt proxy is not limited', () => {
  const { limiter } = limiterWith();
  expect(Array.from({ length: 1_000 }, () => limiter.open('10.0.0.1')).every((close) => close !== undefined)).toBe(
    true,
  );
  expect(limiter.prefixCount()).toBe(0);
});

test('memory is bounded: prefixes without open connections are dropped, and new prefixes are refused while none can be dropped', () => {
  const { limiter, clock } = limiterWith({ prefixesMax: 100 });
  const addresses = Array.from({ length: 1_000 }, (_, at) => `198.51.${at >> 8}.${at & 255}`);
  const closers = addresses.map((address) => limiter.open(address));
  expect(closers.filter((close) => close !== undefined)).toHaveLength(100);
  expect(limiter.prefixCount()).toBe(100);
  for (const close of closers) close?.();
  clock.advance(2_000);
  expect(limiter.open('203.0.113.1')).toBeDefined();
  expect(limiter.prefixCount()).toBe(1);
});

test('a change of salt does not double the limit of an address', () => {
  const { limiter, clock } = limiterWith();
  for (let count = 0; count < 64; count++) limiter.open('192.0.2.1');
  clock.advance(86_400_000);
  expect(limiter.open('192.0.2.1')).toBeUndefined();
  clock.advance(600_000);
  expect(limiter.open('192.0.2.1')).toBeUndefined();
});

let service: SampleApp | undefined;
let sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  await service?.stop();
  service = undefined;
});

/** @returns whether the server keeps the connection and responds on it. */
async function isServed(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  sockets.push(socket);
  socket.write('GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n');
  return Promise.race([once(socket, 'data').then(() => true), once(socket, 'close').then(() => false)]);
}

test('a server at its limit of connections closes further ones at once', async () => {
  service = await startSampleApp({ env: { MAX_CONNECTIONS: '10' } });
  const { port } = service;
  for (let count = 0; count < 10; count++) {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    sockets.push(socket);
    await once(socket, 'connect');
  }
  expect(await isServed(port)).toBe(false);
  for (const socket of sockets.splice(0, 5)) socket.destroy();
  await expect.poll(() => isServed(port)).toBe(true);
});

test('in production connections of this machine are limited too', async () => {
  service = await startSampleApp({ listening: { NODE_ENV: 'production', MAX_CONNECTIONS_PER_ADDRESS: 3 } });
  const { port } = service;
  const served: boolean[] = [];
  for (let count = 0; count < 5; count++) served.push(await isServed(port));
  expect(served).toEqual([true, true, true, false, false]);
});

test('outside production connections of this machine are not limited', async () => {
  service = await startSampleApp({ env: { MAX_CONNECTIONS_PER_ADDRESS: '3' } });
  const { port } = service;
  for (let count = 0; count < 10; count++) expect(await isServed(port)).toBe(true);
});
