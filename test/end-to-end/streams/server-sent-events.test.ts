import type { StreamEvent } from '#client/api/methods.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import type { Clock } from '#platform/clock.ts';
import { limits } from '#platform/limits.ts';
import { newUuid } from '#platform/ids.ts';
import { craftMessage, createCraftedConversation, sendCrafted } from '../../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../../support/mls/crafted-conversation.ts';
import { openEventStream } from '../../support/clients/event-stream.ts';
import { openRawServerSentEvents, StreamRefused } from '../../support/clients/raw-streams.ts';
import type { RawServerSentEvents } from '../../support/clients/raw-streams.ts';
import { startTestBed, startTestServer } from '../../support/test-server.ts';
import type { TestBed } from '../../support/test-server.ts';
import { createXrpcClient, errorNameOf } from '../../support/clients/xrpc-client.ts';
import type { XrpcClient } from '../../support/clients/xrpc-client.ts';

let bed: TestBed;
let alice: XrpcClient;
let bob: XrpcClient;
let carol: XrpcClient;

beforeAll(async () => {
  bed = await startTestBed({ servers: 2 });
  [alice, bob, carol] = [bed.client(), bed.client(), bed.client({ server: 1 })];
});
afterAll(() => bed?.stop());

const onServer = (client: XrpcClient, server: number): XrpcClient =>
  createXrpcClient({ server: bed.server(server), account: client.account });

function seqsOf(stream: RawServerSentEvents, conversation: CraftedConversation): number[] {
  return stream.events.flatMap((event) =>
    'message' in event && event.message.convoId === conversation.convoId ? [event.message.seq] : [],
  );
}

/** Without cursors, because each server creates its own. */
function withoutCursors(stream: { readonly events: readonly StreamEvent[] }): object[] {
  return stream.events.map(({ cursor: _cursor, ...event }) => event);
}

async function refusalOf(opening: Promise<RawServerSentEvents>): Promise<[number, string] | 'opened'> {
  try {
    (await opening).close();
    return 'opened';
  } catch (error) {
    if (error instanceof StreamRefused) return [error.status, error.error];
    throw error;
  }
}

describe('a stream', () => {
  test('has the same events as the WebSocket, from either server', async () => {
    const conversation = await createCraftedConversation(alice, [bob, carol]);
    const socket = await openEventStream(bob);
    const streams = [await openRawServerSentEvents(bob), await openRawServerSentEvents(onServer(bob, 1))];
    for (const { headers } of streams) {
      expect(headers['content-type']).toBe('text/event-stream; charset=utf-8');
      expect(headers['cache-control']).toBe('no-cache, no-store');
      expect(headers['x-accel-buffering']).toBe('no');
      expect(headers['x-content-type-options']).toBe('nosniff');
    }
    const stored = craftMessage(conversation, { sizeBytes: 8_192 });
    await alice.call('sendMessage', stored);
    await alice.call('removeMember', {
      convoId: conversation.convoId,
      targetDid: carol.did,
      idempotencyKey: newUuid(),
    });
    for (const stream of [socket, ...streams]) {
      const { message } = await stream.next('messageEvent', (event) => event.message.id === stored.msgId);
      expect(Buffer.compare(message.ciphertext, stored.ciphertext)).toBe(0);
      await stream.next('membershipChangeEvent', ({ did, action }) => did === carol.did && action === 'removed');
    }
    for (const stream of streams) expect(withoutCursors(stream)).toEqual(withoutCursors(socket));
    const ephemeral = craftMessage(conversation, { delivery: 'ephemeral' });
    await alice.call('sendMessage', ephemeral);
    for (const stream of streams) {
      const event = await stream.next('messageEvent', ({ message }) => message.id === ephemeral.msgId);
      expect(event).toMatchObject({ ephemeral: true, message: { seq: 0 } });
      stream.close();
    }
    await socket.close();
  });

  test('gets a message that is sent as soon as it is open', async () => {
    const conversation = await createCraftedConversation(alice, [bob]);
    for (let round = 0; round < 5; round++) {
      const stream = await openRawServerSentEvents(onServer(bob, round % 2));
      const { messageId } = await sendCrafted(alice, conversation);
      await stream.next('messageEvent', ({ message }) => message.id === messageId);
      stream.close();
    }
  });

  test('continues after Last-Event-ID, which is newer than the cursor of the URL', async () => {
    const conversation = await createCraftedConversation(alice, [bob]);
    const { convoId } = conversation;
    const first = await openRawServerSentEvents(bob, { convoId });
    for (let nth = 0; nth < 3; nth++) await sendCrafted(alice, conversation);
    await first.next('messageEvent', ({ message }) => message.seq === 3);
    first.close();
    for (let nth = 0; nth < 20; nth++) await sendCrafted(alice, conversation);
    const [afterFirst, afterSecond] = first.ids;
    const byHeader = await openRawServerSentEvents(onServer(bob, 1), { convoId, lastEventId: afterFirst });
    const byBoth = await openRawServerSentEvents(bob, { convoId, cursor: afterFirst, lastEventId: afterSecond });
    const byCursor = await openRawServerSentEvents(bob, { convoId, cursor: afterSecond });
    await sendCrafted(alice, conversation);
    for (const [stream, from] of [
      [byHeader, 2],
      [byBoth, 3],
      [byCursor, 3],
    ] as const) {
      await stream.next('messageEvent', ({ message }) => message.seq === 24);
      expect(seqsOf(stream, conversation)).toEqual(Array.from({ length: 25 - from }, (_, index) => from + index));
      stream.close();
    }
  });

  test('with a cursor of another database starts now and gets an infoEvent', async () => {
    const conversation = await createCraftedConversation(alice, [bob]);
    await sendCrafted(alice, conversation);
    const stream = await openRawServerSentEvents(bob, { lastEventId: 'bm90IG9uZSBvZiBvdXJz' });
    expect(await stream.next('infoEvent')).toMatchObject({ info: expect.stringContaining('getMessages') });
    await sendCrafted(alice, conversation);
    await stream.next('messageEvent', ({ message }) => message.convoId === conversation.convoId);
    expect(seqsOf(stream, conversation)).toEqual([2]);
    stream.close();
  });

  test('of one conversation gets no events of others', async () => {
    const [subscribed, other] = [
      await createCraftedConversation(alice, [bob]),
      await createCraftedConversation(alice, [bob]),
    ];
    const stream = await openRawServerSentEvents(bob, { convoId: subscribed.convoId });
    await sendCrafted(alice, other);
    await sendCrafted(alice, subscribed);
    await stream.next('messageEvent', ({ message }) => message.convoId === subscribed.convoId);
    expect(seqsOf(stream, other)).toEqual([]);
    stream.close();
  });

  test('gets the removal of its member and no later event', async () => {
    const conversation = await createCraftedConversation(alice, [bob, carol]);
    const { convoId } = conversation;
    const [stream, otherStream] = [await openRawServerSentEvents(carol), await openRawServerSentEvents(bob)];
    await alice.call('removeMember', { convoId, targetDid: carol.did, idempotencyKey: newUuid() });
    await stream.next('membershipChangeEvent', ({ did, action }) => did === carol.did && action === 'removed');
    const lastEventId = stream.ids.at(-1);
    const eventCount = stream.events.length;
    const { messageId } = await sendCrafted(alice, conversation);
    await otherStream.next('messageEvent', ({ message }) => message.id === messageId);
    const again = await openRawServerSentEvents(carol, { lastEventId });
    await systemClock.sleep(300);
    expect([stream.events.length - eventCount, again.events.length]).toEqual([0, 0]);
    expect(await refusalOf(openRawServerSentEvents(carol, { convoId }))).toEqual([403, 'NotMember']);
    for (const each of [stream, otherStream, again]) each.close();
  });
});

describe('a refusal', () => {
  test('is JSON before any event', async () => {
    const { convoId } = await createCraftedConversation(alice, [bob]);
    expect(await refusalOf(openRawServerSentEvents(carol, { convoId }))).toEqual([404, 'ConvoNotFound']);
    expect(await refusalOf(openRawServerSentEvents(carol, { convoId: 'ab'.repeat(16) }))).toEqual([
      404,
      'ConvoNotFound',
    ]);
    const noToken = await alice.raw('streamConvoEvents', { token: '' });
    expect([noToken.status, noToken.headers.get('content-type')]).toEqual([401, 'application/json; charset=utf-8']);
    const wrongToken = await alice.raw('streamConvoEvents', { token: alice.token('getEpoch') });
    expect([wrongToken.status, errorNameOf(wrongToken)]).toEqual([401, 'BadJwtLexiconMethod']);
    expect((await alice.raw('streamConvoEvents', { body: '{}' })).status).toBe(405);
  });

  test("is sent at the account's limit of streams of both kinds, until one of them closes", async () => {
    const dora = bed.client();
    const half = limits.subscriptionsPerAccountMax / 2;
    const streams: RawServerSentEvents[] = [];
    const sockets = [];
    for (let nth = 0; nth < half; nth++) {
      streams.push(await openRawServerSentEvents(dora));
      sockets.push(await openEventStream(dora));
    }
    expect(await refusalOf(openRawServerSentEvents(dora))).toEqual([429, 'TooManyConnections']);
    expect(await refusalOf(openRawServerSentEvents(onServer(dora, 1)))).toBe('opened');
    streams.pop()?.close();
    await expect.poll(() => refusalOf(openRawServerSentEvents(dora))).toBe('opened');
    for (const stream of streams) stream.close();
    await Promise.all(sockets.map((socket) => socket.close()));
  });
});

test(
  'a stream whose reader is too slow closes, and can be resumed after the last received event',
  { timeout: 60_000 },
  async () => {
    const conversation = await createCraftedConversation(alice, [bob, carol]);
    const { convoId } = conversation;
    const [slow, fast] = [
      await openRawServerSentEvents(bob, { convoId }),
      await openRawServerSentEvents(onServer(carol, 0), { convoId }),
    ];
    slow.pause();
    const count = 60;
    for (let nth = 0; nth < count; nth++) {
      const { messageId } = await sendCrafted(alice, conversation, { sizeBytes: 262_144 });
      await fast.next('messageEvent', ({ message }) => message.id === messageId);
      await systemClock.sleep(15);
    }
    slow.resume();
    expect(await slow.ended).toBe('complete');
    expect(slow.events.at(-1)).toMatchObject({ info: expect.stringContaining('ConsumerTooSlow') });
    expect(seqsOf(slow, conversation).length).toBeLessThan(count);
    const resumed = await openRawServerSentEvents(bob, { convoId, lastEventId: slow.ids.at(-1) });
    await resumed.next('messageEvent', ({ message }) => message.seq === count);
    expect([...seqsOf(slow, conversation), ...seqsOf(resumed, conversation)]).toEqual(seqsOf(fast, conversation));
    for (const each of [fast, resumed]) each.close();
  },
);

describe('on a server with shortened waits', () => {
  const fastClock: Clock = {
    ...systemClock,
    sleep: (delayMs, signal) => systemClock.sleep(delayMs >= 5_000 ? delayMs / 100 : delayMs, signal),
  };

  test('an idle stream gets comments, is counted, and ends completely when the server stops', async () => {
    const { database, plc, identityKey } = bed;
    const server = await startTestServer({ databaseUrl: database.url, plcUrl: plc.url, identityKey, clock: fastClock });
    const stream = await openRawServerSentEvents(createXrpcClient({ server, account: bob.account }));
    await expect.poll(() => stream.comments.length).toBeGreaterThan(1);
    expect(new Set(stream.comments)).toEqual(new Set(['keepalive']));
    const metrics = (): Promise<string> =>
      fetch(`http://127.0.0.1:${server.adminPort}/metrics`).then((response) => response.text());
    await expect.poll(metrics).toContain('subscribers{transport="sse"} 1');
    expect(await server.stop()).toBe('clean');
    expect(await stream.ended).toBe('complete');
  });
});
