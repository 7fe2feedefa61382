import { decodeAll } from '@atproto/lex-cbor';
import { WebSocket } from 'ws';
import { expectOk, openConnection, percentiles, postRequest } from './http-load.ts';
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
  const sockets = await Promise.all(
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
  sockets.forEach((socket) => socket.terminate());
  open.forEach((connection) => connection.close());
  return { ...percentiles(latenciesMs), frames: latenciesMs.length };
}

async function subscribe(server: BenchServer, person: Person, onMessage: (msgId: string) => void): Promise<WebSocket> {
  const connection = await openConnection(server.serverPort);
  const response = await connection.send(
    postRequest('getSubscriptionTicket', person.mintToken('getSubscriptionTicket'), '{}'),
  );
  connection.close();
  expectOk(response);
  const { ticket } = JSON.parse(response.body.toString('utf8')) as { ticket: string };
  const url = `ws://127.0.0.1:${server.serverPort}/xrpc/blue.catbird.mls.subscribeConvoEvents?ticket=${ticket}`;
  const socket = new WebSocket(url);
  socket.on('message', (data: Buffer) => {
    const [, body] = [...decodeAll(data)] as unknown as [unknown, { message?: { id: string } }];
    if (body.message !== undefined) onMessage(body.message.id);
  });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  return socket;
}
