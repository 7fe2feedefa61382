import type { StreamEvent } from '#client/api/methods.ts';
import { messagesAfter } from '#client/api/pages.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { newSecret } from '#platform/ids.ts';
import { clientApi } from '../../client/client-api.ts';
import type { Account } from '../../support/clients/account.ts';
import { startChildServer } from '../../support/processes/child-server.ts';
import { createCraftedConversation, sendCrafted } from '../../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../../support/mls/crafted-conversation.ts';
import { openEventStream } from '../../support/clients/event-stream.ts';
import type { EventStream, EventStreamOptions } from '../../support/clients/event-stream.ts';
import { startTestBed, testEnvironment } from '../../support/test-server.ts';
import type { TestBed } from '../../support/test-server.ts';
import { createXrpcClient } from '../../support/clients/xrpc-client.ts';
import type { XrpcClient } from '../../support/clients/xrpc-client.ts';

const conversationCount = 4;
const peopleCount = 12;
const streamsPerRound = 36;

let bed: TestBed;
let alice: XrpcClient;
let people: Account[];
let conversations: CraftedConversation[];

beforeAll(async () => {
  bed = await startTestBed();
  alice = bed.client();
  people = Array.from({ length: peopleCount }, () => bed.account());
  const members = people.map((account) => bed.client({ account }));
  conversations = await Promise.all(
    Array.from({ length: conversationCount }, () => createCraftedConversation(alice, members)),
  );
}, 30_000);
afterAll(() => bed.stop());

/** A sent message and the time when its request started. */
interface Sent {
  readonly convoId: string;
  readonly seq: number;
  readonly begunMs: number;
}

/** Sends to every conversation, one message after another in each, until stopped. */
function keepSending(): { stop(): Promise<Sent[]> } {
  let isStopping = false;
  const sent: Sent[] = [];
  const sending = conversations.map(async (conversation) => {
    while (!isStopping) {
      const begunMs = performance.now();
      const { seq } = await sendCrafted(alice, conversation);
      sent.push({ convoId: conversation.convoId, seq, begunMs });
    }
  });
  return {
    async stop() {
      isStopping = true;
      await Promise.all(sending);
      return sent;
    },
  };
}

const keysOf = (events: readonly StreamEvent[]): string[] =>
  events.flatMap((event) => ('message' in event ? [`${event.message.convoId} ${event.message.seq}`] : []));

/** All stored messages, as a member gets them. */
async function storedKeys(): Promise<{ convoId: string; seq: number }[]> {
  const stored: { convoId: string; seq: number }[] = [];
  const api = clientApi(alice.account, alice.server);
  for (const { convoId } of conversations) {
    for await (const { seq } of messagesAfter(api, convoId, 0)) stored.push({ convoId, seq });
  }
  return stored;
}

interface Opened {
  readonly transport: EventStreamOptions['transport'];
  readonly account: Account;
  readonly first: EventStream;
  readonly openedMs: number;
}

/**
 * Opens a stream at the server after a delay; undefined when the server was killed before the client saw the first
 * frame.
 */
async function openAt(url: string, nth: number, delayMs: number): Promise<Opened | undefined> {
  const account = people[nth % peopleCount];
  if (account === undefined) return undefined;
  const transport = nth % 3 === 0 ? 'server-sent-events' : 'websocket';
  await systemClock.sleep(delayMs);
  try {
    const client = createXrpcClient({ server: { url, serviceDid: bed.server().serviceDid }, account });
    const first = await openEventStream(client, { transport });
    const openedMs = await Promise.race([
      first.opened.then(() => performance.now()),
      systemClock.sleep(3_000).then(() => Infinity),
    ]);
    return openedMs === Infinity ? undefined : { transport, account, first, openedMs };
  } catch {
    return undefined;
  }
}

const random = (max: number): number => newSecret(4).readUInt32BE() % max;

// Safe because the first frame has the log position that was read before the stream opened.
describe('a server that is killed in the first second of its streams', () => {
  test.for([1, 2, 3, 4])(
    'loses no event of streams that clients saw open and resume at another server (round %i)',
    { timeout: 60_000 },
    async () => {
      const killedServer = await startChildServer('server', {
        ...testEnvironment({ plcUrl: bed.plc.url }),
        DATABASE_URL: bed.database.url,
        IDENTITY_KEY: bed.identityKey,
      });
      const sender = keepSending();
      let openCount = 0;
      const opening = Array.from({ length: streamsPerRound }, async (_, nth) => {
        const stream = await openAt(killedServer.url, nth, random(700));
        if (stream !== undefined) openCount += 1;
        return stream;
      });
      const openedMin = 1 + random(streamsPerRound / 2);
      await expect.poll(() => openCount, { timeout: 20_000, interval: 5 }).toBeGreaterThanOrEqual(openedMin);
      await systemClock.sleep(random(500));
      await killedServer.end('SIGKILL');
      const opened = (await Promise.all(opening)).filter((each) => each !== undefined);
      const resumed = await Promise.all(
        opened.map(({ transport, account, first: { cursor } }) =>
          openEventStream(bed.client({ account }), { transport, cursor }),
        ),
      );
      await systemClock.sleep(300);
      const sent = await sender.stop();
      const stored = await storedKeys();
      for (const [index, { first, openedMs }] of opened.entries()) {
        const expected = stored.filter(({ convoId, seq }) =>
          sent.some((each) => each.convoId === convoId && each.begunMs >= openedMs && each.seq <= seq),
        );
        const expectedKeys = new Set(expected.map(({ convoId, seq }) => `${convoId} ${seq}`));
        const received = (): string[] => [...keysOf(first.events), ...keysOf(resumed[index]?.events ?? [])];
        const missing = (): string[] => {
          const receivedKeys = new Set(received());
          return [...expectedKeys].filter((key) => !receivedKeys.has(key));
        };
        await expect.poll(missing, { timeout: 10_000 }).toEqual([]);
        expect(received().length, 'an event arrived twice').toBe(new Set(received()).size);
        expect(expectedKeys.size).toBeGreaterThan(0);
      }
      await Promise.all(resumed.map((stream) => stream.close()));
    },
  );
});
