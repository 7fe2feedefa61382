import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openEventStream } from '#client/stream/event-stream.ts';
import type { EventStreamOptions } from '#client/stream/event-stream.ts';
import { isEvent } from '#client/stream/stream-event.ts';
import type { StreamEvent } from '#client/api/methods.ts';
import { systemClock } from '#platform/clock.ts';
import { createCraftedConversation, sendCrafted } from '../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../support/mls/crafted-conversation.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';
import { startFaultyProxy } from '../support/network/faulty-proxy.ts';
import type { FaultyProxy } from '../support/network/faulty-proxy.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { clientApi } from './client-api.ts';
import { eventually } from './eventually.ts';

let bed: TestBed;
let proxy: FaultyProxy;
let alice: XrpcClient;
let bob: XrpcClient;
let conversation: CraftedConversation;

beforeAll(async () => {
  bed = await startTestBed();
  [alice, bob] = [bed.client(), bed.client()];
  conversation = await createCraftedConversation(alice, [bob]);
  proxy = await startFaultyProxy(Number(new URL(bed.server().url).port));
});
afterAll(async () => {
  await proxy.close();
  await bed.stop();
});

const transports = ['websocket', 'server-sent-events'] as const;
const through = (): ReturnType<typeof clientApi> =>
  clientApi(bob.account, bed.server(), { serviceUrl: `http://127.0.0.1:${proxy.port}` });

/** The msgIds that a stream gives, until `last` is among them. */
async function idsUntil(last: Promise<string> | string, options: EventStreamOptions): Promise<string[]> {
  const stream = openEventStream(through(), { waitMaxMs: 200, ...options });
  const wanted = await last;
  const ids: string[] = [];
  for await (const event of stream) {
    if (!isEvent(event, 'messageEvent')) continue;
    ids.push(event.message.id);
    if (event.message.id === wanted) break;
  }
  return ids;
}

async function startCursor(): Promise<string> {
  const stream = openEventStream(through());
  const events = stream[Symbol.asyncIterator]();
  const first = events.next();
  await eventually(() => stream.cursor).toBeDefined();
  stream.close();
  await first;
  return stream.cursor ?? '';
}

describe.each(transports)('a stream over %s', (transport) => {
  test('gives every event once and in order while the network breaks again and again', async () => {
    const cursor = await startCursor();
    const sent: string[] = [];
    const sending = (async () => {
      for (let round = 0; round < 12; round++) {
        for (let count = 0; count < 4; count++) sent.push((await sendCrafted(alice, conversation)).messageId);
        await proxy.setMode(round % 3 === 0 ? 'refuse' : 'close');
        for (let count = 0; count < 2; count++) sent.push((await sendCrafted(alice, conversation)).messageId);
        await proxy.setMode('pass');
        await systemClock.sleep(30);
      }
      return (await sendCrafted(alice, conversation)).messageId;
    })();
    const stream = openEventStream(through(), { cursor, transport, waitMaxMs: 100 });
    const ids: string[] = [];
    let last: string | undefined;
    void sending.then((id) => (last = id));
    for await (const event of stream) {
      if (isEvent(event, 'messageEvent')) ids.push(event.message.id);
      if (last !== undefined && ids.at(-1) === last) break;
    }
    expect(ids).toEqual([...sent, await sending]);
  });

  test('resumes behind the cursor of an earlier process', async () => {
    const cursor = await startCursor();
    const ids = [];
    for (let count = 0; count < 3; count++) ids.push((await sendCrafted(alice, conversation)).messageId);
    await expect(idsUntil(ids[2] ?? '', { cursor, transport })).resolves.toEqual(ids);
  });

  test('a reader that is slower than the service gets everything', async () => {
    const cursor = await startCursor();
    const ids: string[] = [];
    for (let count = 0; count < 60; count++) ids.push((await sendCrafted(alice, conversation)).messageId);
    const stream = openEventStream(through(), { cursor, transport, queueMax: 5, waitMaxMs: 20 });
    const found: string[] = [];
    for await (const event of stream) {
      if (!isEvent(event, 'messageEvent')) continue;
      found.push(event.message.id);
      await systemClock.sleep(2);
      if (found.length === ids.length) break;
    }
    expect(found).toEqual(ids);
  });

  test('a silent connection is opened again', async () => {
    const stream = openEventStream(through(), { transport, idleTimeoutMs: 300, waitMaxMs: 50 });
    const events = stream[Symbol.asyncIterator]();
    const next = events.next();
    await eventually(() => stream.cursor).toBeDefined();
    await proxy.setMode('silent');
    const { messageId } = await sendCrafted(alice, conversation);
    await systemClock.sleep(400);
    await proxy.setMode('pass');
    const { value } = (await next) as IteratorResult<StreamEvent, undefined>;
    if (value === undefined || !isEvent(value, 'messageEvent')) throw new Error('no message came');
    expect(value.message.id).toBe(messageId);
    stream.close();
  });
});

/** A proxy that passes requests on and refuses to upgrade connections. */
async function startUpgradeRefusingProxy(): Promise<{ url: string; close(): void }> {
  const target = new URL(bed.server().url);
  const proxy = createServer((incoming, outgoing) => {
    const { url: path, method, headers } = incoming;
    const onward = request({ host: target.hostname, port: target.port, path, method, headers }, (response) => {
      outgoing.writeHead(response.statusCode ?? 500, response.headers);
      response.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => onward.destroy());
    incoming.pipe(onward);
  });
  proxy.on('upgrade', (_incoming, socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'));
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    close: () => proxy.closeAllConnections(),
  };
}

test('where no WebSocket opens, server-sent events are used', async () => {
  const blocking = await startUpgradeRefusingProxy();
  const stream = openEventStream(clientApi(bob.account, bed.server(), { serviceUrl: blocking.url }));
  const next = stream[Symbol.asyncIterator]().next();
  await eventually(() => stream.cursor).toBeDefined();
  const { messageId } = await sendCrafted(alice, conversation);
  const { value } = (await next) as IteratorResult<StreamEvent, undefined>;
  expect(value).toMatchObject({ message: { id: messageId } });
  stream.close();
  blocking.close();
});

test('a stream ends with its signal, also while the network is silent', async () => {
  await proxy.setMode('silent');
  const ending = new AbortController();
  const stream = openEventStream(through(), { signal: ending.signal });
  const next = stream[Symbol.asyncIterator]().next();
  ending.abort();
  expect(await next).toEqual({ done: true, value: undefined });
  expect(stream.state).toBe('closed');
  await proxy.setMode('pass');
});

describe('a stream that cannot be resumed', () => {
  test('throws the error of the service', async () => {
    const outsider = clientApi(bed.account(), bed.server());
    const stream = openEventStream(outsider, { convoId: conversation.convoId });
    await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject({ error: 'ConvoNotFound' });
  });
});

test('a cursor that the service did not create gives the notice cursorUnknown first', async () => {
  const stream = openEventStream(through(), { cursor: 'invented' });
  const { value } = await stream[Symbol.asyncIterator]().next();
  expect(value).toMatchObject({ code: 'cursorUnknown' });
  stream.close();
});

test('typing reaches other members', async () => {
  const watching = openEventStream(clientApi(alice.account, bed.server()));
  const events = watching[Symbol.asyncIterator]();
  const first = events.next();
  const typing = openEventStream(through(), { transport: 'websocket' });
  const reading = typing[Symbol.asyncIterator]().next();
  await eventually(() => [watching.state, typing.state]).toEqual(['open', 'open']);
  await eventually(() => watching.cursor !== undefined && typing.cursor !== undefined).toBe(true);
  let received: unknown;
  void first.then((result) => {
    received = result.value;
  });
  // A typing event is not stored, so one that is sent before the subscription is complete is lost.
  const type = (): unknown => {
    typing.sendTyping(conversation.convoId, true);
    return received;
  };
  await expect.poll(type, { interval: 300, timeout: 20_000 }).toMatchObject({ did: bob.did, isTyping: true });
  watching.close();
  typing.close();
  await reading;
});
