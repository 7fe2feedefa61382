import { createApiClient } from '#client/api/api-client.ts';
import { openEventStream } from '#client/stream/event-stream.ts';
import { isEvent } from '#client/stream/stream-event.ts';
import { expectOk, openConnection, percentiles } from './http-load.ts';
import type { Person } from './people.ts';
import type { Seed } from './seed.ts';
import { readySends } from './send-requests.ts';
import type { BenchServer } from './bench-server.ts';

export interface Delivery {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly frames: number;
}

const connections = 32;
const subscribersMax = 16;
const lastFramesWaitMs = 1_000;

/** Measures the time from a send to the arrival of its frame at a subscriber, at `perSecond` sends. */
export async function measureDelivery(
  server: BenchServer,
  seed: Seed,
  plan: { perSecond: number; seconds: number },
): Promise<Delivery> {
  const sentMs = new Map<string, number>();
  const latenciesMs: number[] = [];
  const people = seed.people.slice(0, subscribersMax);
  const subscriptions = await Promise.all(
    people.map((person) =>
      subscribe(server, person, (msgId) => {
        const startedMs = sentMs.get(msgId);
        if (startedMs !== undefined) latenciesMs.push(performance.now() - startedMs);
      }),
    ),
  );
  const sends = readySends(seed, Math.floor(plan.perSecond * plan.seconds));
  const open = await Promise.all(Array.from({ length: connections }, () => openConnection(server.serverPort)));
  const startedMs = performance.now();
  let next = 0;
  await Promise.all(
    open.map(async (connection) => {
      for (let index = next++; index < sends.length; index = next++) {
        const send = sends[index];
        if (send === undefined) return;
        const dueMs = startedMs + (index / plan.perSecond) * 1_000;
        const waitMs = dueMs - performance.now();
        if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
        sentMs.set(send.msgId, performance.now());
        expectOk(await connection.send(send.request));
      }
    }),
  );
  await new Promise((resolve) => setTimeout(resolve, lastFramesWaitMs));
  subscriptions.forEach((subscription) => subscription.close());
  open.forEach((connection) => connection.close());
  return { ...percentiles(latenciesMs), frames: latenciesMs.length };
}

/** Reads a person's events as clients do; a frame takes a few microseconds of the load generator's CPU time. */
async function subscribe(
  server: BenchServer,
  person: Person,
  onMessage: (msgId: string) => void,
): Promise<{ close(): void }> {
  const api = createApiClient({
    serviceUrl: `http://127.0.0.1:${server.serverPort}`,
    getToken: async (nsid) => person.mintToken(nsid.split('.').at(-1) ?? ''),
  });
  const opened = Promise.withResolvers<void>();
  const stream = openEventStream(api, {
    transport: 'websocket',
    onStateChange: (state) => state === 'open' && opened.resolve(),
  });
  const reading = (async () => {
    for await (const event of stream) if (isEvent(event, 'messageEvent')) onMessage(event.message.id);
  })();
  await Promise.race([opened.promise, reading]);
  return stream;
}
