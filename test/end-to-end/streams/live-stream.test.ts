import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { memberPseudonym } from '#domain/membership/members/member-pseudonym.ts';
import { systemClock } from '#platform/clock.ts';
import { newUuid } from '#platform/ids.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import { createTickets } from '#stream/ticket.ts';
import { craftCommit } from '../../support/mls/crafted-mls.ts';
import { craftMessage, createCraftedConversation, sendCrafted } from '../../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../../support/mls/crafted-conversation.ts';
import { openEventStream } from '../../support/clients/event-stream.ts';
import type { EventStream } from '../../support/clients/event-stream.ts';
import { openRawSocket, StreamRefused } from '../../support/clients/raw-streams.ts';
import type { RawSocket } from '../../support/clients/raw-streams.ts';
import { dumpTables } from '../../support/privacy/leak-scanner.ts';
import { startTestBed } from '../../support/test-server.ts';
import type { TestBed } from '../../support/test-server.ts';
import { createXrpcClient } from '../../support/clients/xrpc-client.ts';
import type { XrpcClient } from '../../support/clients/xrpc-client.ts';

let bed: TestBed;
let alice: XrpcClient;
let bob: XrpcClient;
let carol: XrpcClient;

beforeAll(async () => {
  bed = await startTestBed({ servers: 2 });
  [alice, bob, carol] = [bed.client(), bed.client(), bed.client({ server: 1 })];
});
afterAll(() => bed.stop());

const onServer = (client: XrpcClient, server: number): XrpcClient =>
  createXrpcClient({ server: bed.server(server), account: client.account });

function seqsOf(stream: Pick<EventStream, 'events'>, conversation: CraftedConversation): number[] {
  return stream.events.flatMap((event) =>
    event.$type.endsWith('#messageEvent') && 'message' in event && event.message.convoId === conversation.convoId
      ? [event.message.seq]
      : [],
  );
}

async function refusalOf(opening: Promise<RawSocket>): Promise<{ status: number; error: string } | 'opened'> {
  try {
    await (await opening).close();
    return 'opened';
  } catch (error) {
    if (error instanceof StreamRefused) return { status: error.status, error: error.error };
    throw error;
  }
}

describe('a stream gets', () => {
  test("a person who is added while their socket is open gets the group's events from the commit on, on either server", async () => {
    const conversation = await createCraftedConversation(alice, [bob]);
    await sendCrafted(alice, conversation);
    const streams = [await openEventStream(onServer(carol, 0)), await openEventStream(onServer(carol, 1))];
    const commit = craftCommit(conversation.groupId, 0).toString('base64');
    await alice.call('addMembers', { convoId: conversation.convoId, didList: [carol.did], commit });
    const { seq } = await sendCrafted(bob, conversation, { epoch: 1 });
    for (const stream of streams) {
      await stream.next(
        'membershipChangeEvent',
        ({ did, action, epoch }) => did === carol.did && action === 'joined' && epoch === 1,
      );
      await stream.next('messageEvent', ({ message }) => message.seq === seq);
      expect(seqsOf(stream, conversation)).toEqual([2, 3]);
      await stream.close();
    }
  });

  test('a message that is sent as soon as the socket is open arrives', async () => {
    const conversation = await createCraftedConversation(alice, [bob]);
    for (let round = 0; round < 5; round++) {
      const stream = await openEventStream(onServer(bob, round % 2));
      const { messageId } = await sendCrafted(alice, conversation);
      await stream.next('messageEvent', ({ message }) => message.id === messageId);
      await stream.close();
    }
  });

  test('a removed member gets the event of the removal and no later one', async () => {
    const conversation = await createCraftedConversation(alice, [bob, carol]);
    const stream = await openEventStream(carol);
    const otherStream = await openEventStream(bob);
    await sendCrafted(alice, conversation);
    await stream.next('messageEvent');
    const { convoId } = conversation;
    await alice.call('removeMember', { convoId, targetDid: carol.did, idempotencyKey: newUuid() });
    await stream.next('membershipChangeEvent', ({ did, action }) => did === carol.did && action === 'removed');
    const { cursor } = stream;
    const eventCount = stream.events.length;
    const { messageId } = await sendCrafted(bob, conversation);
    await sendCrafted(bob, conversation, { delivery: 'ephemeral' });
    await otherStream.next('messageEvent', ({ message }) => message.id === messageId);
    const again = await openEventStream(carol, { cursor });
    await systemClock.sleep(700);
    expect([stream.events.length - eventCount, again.events.length]).toEqual([0, 0]);
    expect(
      await refusalOf(
        openRawSocket(carol, { convoId, ticket: (await carol.call('getSubscriptionTicket', {})).ticket }),
      ),
    ).toEqual({ status: 403, error: 'NotMember' });
    await Promise.all([stream.close(), again.close(), otherStream.close()]);
  });

  test('an ephemeral message of any size reaches subscribers on both servers with seq 0 and is not stored', async () => {
    const conversation = await createCraftedConversation(alice, [bob, carol]);
    const streams = [await openEventStream(bob), await openEventStream(carol)];
    // Ephemeral messages are not replayed, so both streams must have caught up first.
    await sendCrafted(alice, conversation);
    for (const stream of streams) await stream.next('messageEvent');
    for (const sizeBytes of [512, 65_536]) {
      const request = craftMessage(conversation, { delivery: 'ephemeral', sizeBytes });
      expect(await alice.call('sendMessage', request)).toMatchObject({ seq: 0, messageId: request.msgId });
      for (const stream of streams) {
        const { message, ephemeral } = await stream.next('messageEvent', (event) => event.message.id === request.msgId);
        expect([message.seq, ephemeral, Buffer.compare(message.ciphertext, request.ciphertext)]).toEqual([0, true, 0]);
      }
      expect((await bob.call('getMessages', { convoId: conversation.convoId })).messages).toHaveLength(1);
      const excerpt = Buffer.from(request.ciphertext).subarray(40, 80);
      for (const [table, bytes] of await dumpTables(bed.database.sql)) {
        expect(bytes.includes(request.msgId), table).toBe(false);
        expect(bytes.includes(excerpt) || bytes.includes(excerpt.toString('hex')), table).toBe(false);
      }
    }
    await Promise.all(streams.map((stream) => stream.close()));
  });

  test('typing events reach the others on both servers, in both encodings, but not those of a removed member', async () => {
    const conversation = await createCraftedConversation(alice, [bob, carol]);
    const { convoId } = conversation;
    const [ofAlice, ofBob, ofCarol] = [
      await openEventStream(alice),
      await openRawSocket(bob),
      await openEventStream(carol),
    ];
    await sendCrafted(alice, conversation);
    for (const stream of [ofAlice, ofBob, ofCarol]) await stream.next('messageEvent');
    ofCarol.type(convoId, true);
    for (const stream of [ofAlice, ofBob]) {
      expect(await stream.next('typingEvent')).toMatchObject({ convoId, did: carol.did, isTyping: true });
    }
    await alice.call('removeMember', { convoId, targetDid: carol.did, idempotencyKey: newUuid() });
    await ofCarol.next('membershipChangeEvent');
    ofCarol.type(convoId, true);
    await systemClock.sleep(100);
    ofBob.type(convoId, false, 'cbor');
    expect(await ofAlice.next('typingEvent')).toMatchObject({ did: bob.did, isTyping: false });
    expect(ofBob.events.filter((event) => event.$type.endsWith('#typingEvent'))).toHaveLength(1);
    await Promise.all([ofAlice, ofBob, ofCarol].map((stream) => stream.close()));
  });
});

describe('a cursor', () => {
  // Safe because a cursor is the log position of a final event, the same on every server.
  test('resumes with every later event once and in order, also on the other server during writes to both', async () => {
    const conversations = [
      await createCraftedConversation(alice, [bob, carol]),
      await createCraftedConversation(carol, [alice, bob]),
    ];
    const perSender = 60;
    let stream = await openEventStream(bob);
    const sending = Promise.all(
      [alice, carol].map(async (sender) => {
        for (let nth = 0; nth < perSender; nth++) {
          const conversation = conversations[nth % 2];
          if (conversation !== undefined) await sendCrafted(sender, conversation);
        }
      }),
    );
    const seqs: number[][] = [[], []];
    const collect = (): void =>
      conversations.forEach((conversation, index) => seqs[index]?.push(...seqsOf(stream, conversation)));
    for (let round = 0; round < 12; round++) {
      for (let nth = 0; nth <= round % 4; nth++) await stream.next('messageEvent');
      await stream.close();
      collect();
      stream = await openEventStream(onServer(bob, (round + 1) % 2), { cursor: stream.cursor });
    }
    await sending;
    const missing = (): number => 2 * perSender - seqs.flat().length;
    const isLast = (): boolean =>
      conversations.reduce((count, conversation) => count + seqsOf(stream, conversation).length, 0) >= missing();
    while (!isLast()) await stream.next('messageEvent');
    await systemClock.sleep(300);
    await stream.close();
    collect();
    const all = Array.from({ length: perSender }, (_, index) => index + 1);
    expect(seqs).toEqual([all, all]);
  });

  // Safe because readers stop at the log position that the writer's lock names, which is below the writer's own
  // (migrations/0017).
  test('does not skip the event of a transaction that commits late', async () => {
    const [late, prompt] = [
      await createCraftedConversation(alice, [bob]),
      await createCraftedConversation(alice, [bob]),
    ];
    const stream = await openEventStream(bob);
    await sendCrafted(alice, prompt);
    await stream.next('messageEvent');
    const member = memberPseudonym(createPrivacy(parseKeyRing(bed.identityKey)), late.groupId, alice.did);
    const message = craftMessage(late);
    const body = Buffer.from(message.ciphertext);
    const writer = await bed.database.sql.reserve();
    try {
      await writer`BEGIN`;
      const [stored] = await writer<{ outcome: string }[]>`
        SELECT outcome FROM append_messages(ARRAY[${late.groupId}]::bytea[], ARRAY[${member}]::bytea[], ARRAY[0]::bigint[],
          ARRAY[${message.msgId}]::text[], ARRAY[0]::integer[], ARRAY[${body.length}]::integer[], ${body}::bytea, 60)`;
      expect(stored).toEqual({ outcome: 'stored' });
      await sendCrafted(carol, await createCraftedConversation(carol, []));
      await sendCrafted(alice, prompt);
      await systemClock.sleep(300);
      expect(seqsOf(stream, prompt)).toEqual([1]);
      await stream.close();
      const again = await openEventStream(onServer(bob, 1), { cursor: stream.cursor });
      await systemClock.sleep(300);
      await writer`COMMIT`;
      await again.next('messageEvent', ({ message: { id } }) => id === message.msgId);
      if (seqsOf(again, prompt).length === 0)
        await again.next('messageEvent', ({ message: { convoId } }) => convoId === prompt.convoId);
      expect([seqsOf(again, late), seqsOf(again, prompt)]).toEqual([[1], [2]]);
      await again.close();
    } finally {
      writer.release();
    }
  });

  test('of another database gets an infoEvent, and the stream starts now', async () => {
    const conversation = await createCraftedConversation(alice, [bob]);
    const stream = await openEventStream(bob, { cursor: 'bm90IG9uZSBvZiBvdXJz' });
    expect(await stream.next('infoEvent')).toMatchObject({ info: expect.stringContaining('getMessages') });
    const { messageId } = await sendCrafted(alice, conversation);
    await stream.next('messageEvent', ({ message }) => message.id === messageId);
    await stream.close();
  });
});

// Safe because readers wait only for transactions that write events, not for every transaction with an id.
test(
  'events do not wait for a transaction that writes none, held open for six seconds',
  { timeout: 30_000 },
  async () => {
    const conversation = await createCraftedConversation(alice, [bob]);
    const stream = await openEventStream(onServer(bob, 1));
    await sendCrafted(alice, conversation);
    await stream.next('messageEvent');
    const otherTransaction = await bed.database.sql.reserve();
    await otherTransaction`BEGIN`;
    await otherTransaction`SET LOCAL idle_in_transaction_session_timeout = 0`;
    await otherTransaction`SELECT pg_current_xact_id()`;
    const openUntilMs = performance.now() + 6_000;
    const rollback = systemClock.sleep(6_000).then(() => otherTransaction`ROLLBACK`);
    const delaysMs: number[] = [];
    while (performance.now() < openUntilMs) {
      const { messageId } = await sendCrafted(alice, conversation);
      const sentMs = performance.now();
      await stream.next('messageEvent', ({ message }) => message.id === messageId);
      delaysMs.push(performance.now() - sentMs);
    }
    await rollback;
    otherTransaction.release();
    const median = delaysMs.toSorted((a, b) => a - b)[Math.floor(delaysMs.length / 2)] ?? Infinity;
    expect(median, `${delaysMs.length} messages`).toBeLessThan(500);
    expect(delaysMs.length).toBeGreaterThan(10);
    await stream.close();
  },
);

describe('a ticket', () => {
  test('opens one stream, on the server where it is used first', async () => {
    const { ticket, endpoint } = await bob.call('getSubscriptionTicket', {});
    expect(endpoint).toBe(`${bed.server().url.replace('http', 'ws')}/xrpc/blue.catbird.mls.subscribeConvoEvents`);
    const openings = Array.from({ length: 20 }, (_, nth) =>
      refusalOf(openRawSocket(bob, { ticket, url: bed.server(nth % 2).url })),
    );
    const outcomes = await Promise.all(openings);
    expect(outcomes.filter((outcome) => outcome === 'opened')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome !== 'opened')).toEqual(
      Array.from({ length: 19 }, () => ({ status: 401, error: 'BadTicket' })),
    );
  });

  test('is valid for 30 seconds', async () => {
    // Makes the record of used tickets older than the tickets of this test.
    await bed.database.sql`UPDATE replay_birth SET born_at = now() - interval '1 hour'`;
    const issuedAgo = async (agoMs: number): Promise<string> => {
      const clock = { ...systemClock, nowMs: () => systemClock.nowMs() - agoMs };
      const key = parseKeyRing(bed.identityKey).current.derive('ticket');
      const tickets = createTickets({
        key,
        serviceDid: bed.server().serviceDid,
        clock,
        uses: { firstUse: async () => true },
      });
      return (await tickets.issue({ caller: { did: bob.did }, conversationId: undefined })).text;
    };
    expect(await refusalOf(openRawSocket(bob, { ticket: await issuedAgo(25_000) }))).toBe('opened');
    expect(await refusalOf(openRawSocket(bob, { ticket: await issuedAgo(31_000) }))).toEqual({
      status: 401,
      error: 'BadTicket',
    });
  });
});

test('a burst of large messages reaches a fast reader completely and in order', { timeout: 60_000 }, async () => {
  const conversation = await createCraftedConversation(alice, [bob]);
  const reader = await openRawSocket(bob);
  const count = 12;
  await Promise.all(Array.from({ length: count }, () => sendCrafted(alice, conversation, { sizeBytes: 2_097_152 })));
  await reader.next('messageEvent', ({ message }) => message.seq === count);
  expect(seqsOf(reader, conversation)).toEqual(Array.from({ length: count }, (_, index) => index + 1));
  await reader.close();
});

test(
  'a stream whose reader is too slow closes with ConsumerTooSlow, and others are not delayed',
  { timeout: 60_000 },
  async () => {
    const conversation = await createCraftedConversation(alice, [bob, carol]);
    const [slow, fast] = [await openRawSocket(bob), await openEventStream(onServer(carol, 0))];
    await sendCrafted(alice, conversation);
    await Promise.all([slow.next('messageEvent'), fast.next('messageEvent')]);
    slow.pause();
    const delaysMs: number[] = [];
    for (let nth = 0; nth < 60; nth++) {
      const { messageId } = await sendCrafted(alice, conversation, { sizeBytes: 262_144 });
      const sentMs = performance.now();
      await fast.next('messageEvent', ({ message }) => message.id === messageId);
      delaysMs.push(performance.now() - sentMs);
      await systemClock.sleep(15);
    }
    slow.resume();
    expect([(await slow.closed).code, slow.error?.error]).toEqual([1008, 'ConsumerTooSlow']);
    expect(seqsOf(fast, conversation)).toEqual(Array.from({ length: 61 }, (_, index) => index + 1));
    expect(Math.max(...delaysMs)).toBeLessThan(2_000);
    const resumed = await openEventStream(bob, { cursor: slow.cursor });
    await resumed.next('messageEvent', ({ message }) => message.seq === 61);
    expect([...seqsOf(slow, conversation), ...seqsOf(resumed, conversation)]).toEqual(seqsOf(fast, conversation));
    await Promise.all([resumed.close(), fast.close()]);
  },
);
