import { setTimeout as sleep } from 'node:timers/promises';
import { required } from '#platform/errors.ts';
import { runClosedLoop } from '../load/closed-loop.ts';
import { createConversations } from '../load/conversations.ts';
import type { SeededConversation } from '../load/conversations.ts';
import { openEventSocket } from '../load/event-socket.ts';
import type { EventSocket } from '../load/event-socket.ts';
import type { Outcome } from '../load/latencies.ts';
import { createPerson } from '../load/people.ts';
import type { Person } from '../load/people.ts';
import { readySends } from '../load/send-requests.ts';
import type { Side } from '../load/side.ts';
import type { Workload } from './workload.ts';

const listenerCount = 1_000;
const fanOutSends = 100;
const fanOutConnections = 8;
/** The server closes a connection after 1,000 requests. */
const fillConnections = 32;
const idleSocketCount = 2_000;
const openedAtOnce = 50;
const openedWaitMs = 2_000;
const pollMs = 2;
const replayedEvents = 10_000;
const replayTimeoutMs = 60_000;

const fanOut: Workload = {
  name: 'fan-out-1000',
  title: `Frames delivered in a conversation with ${listenerCount} listeners`,
  unit: 'frame',
  async prepare(side) {
    const { conversation, members } = await side.once('conversation of listeners', () => createListeners(side));
    const sockets = await openAll(side, members, 1);
    const requests = readySends([conversation], fanOutSends).map(({ request }) => request);
    const framesOf = (): number => sockets.reduce((sum, socket) => sum + socket.frames, 0);
    return {
      async run() {
        const before = framesOf();
        const expected = fanOutSends * listenerCount;
        const startedMs = performance.now();
        await runClosedLoop(side.server.serverPort, fanOutConnections, requests);
        await until(() => framesOf() - before >= expected);
        return { operations: expected, seconds: (performance.now() - startedMs) / 1_000, latenciesMs: [] };
      },
      close: () => sockets.forEach((socket) => socket.close()),
    };
  },
};

const idleSockets: Workload = {
  name: 'idle-sockets-2000',
  title: `Opening ${idleSocketCount} sockets; the memory is what one open socket adds`,
  unit: 'socket',
  async prepare(side) {
    const { members } = await side.once('conversation of listeners', () => createListeners(side));
    let sockets: EventSocket[] = [];
    return {
      async run() {
        const startedMs = performance.now();
        sockets = await openAll(side, members, idleSocketCount / listenerCount);
        const seconds = (performance.now() - startedMs) / 1_000;
        await sleep(openedWaitMs);
        return { operations: idleSocketCount, seconds, latenciesMs: [] };
      },
      close: () => sockets.forEach((socket) => socket.close()),
    };
  },
};

const replay: Workload = {
  name: 'replay-10000',
  title: `Subscribe and replay ${replayedEvents} events`,
  unit: 'event',
  async prepare(side) {
    const { person, cursor } = await side.once('events to replay', () => fillReplay(side));
    let socket: EventSocket | undefined;
    return {
      async run(): Promise<Outcome> {
        const startedMs = performance.now();
        const opened = await openEventSocket(side.server, person, { cursor });
        socket = opened;
        await until(() => opened.frames >= replayedEvents);
        return { operations: replayedEvents, seconds: (performance.now() - startedMs) / 1_000, latenciesMs: [] };
      },
      close: () => socket?.close(),
    };
  },
};

export const streamWorkloads = [fanOut, replay, idleSockets];

async function createListeners(side: Side): Promise<{ conversation: SeededConversation; members: readonly Person[] }> {
  const creator = createPerson(side.server);
  const others = Array.from({ length: listenerCount - 1 }, () => createPerson(side.server));
  const [conversation] = await createConversations(side.server, [[creator, ...others]]);
  return { conversation: required(conversation, 'a conversation'), members: [creator, ...others] };
}

async function openAll(side: Side, people: readonly Person[], each: number): Promise<EventSocket[]> {
  const wanted = people.flatMap((person) => Array.from({ length: each }, () => person));
  const sockets: EventSocket[] = [];
  for (let start = 0; start < wanted.length; start += openedAtOnce) {
    const batch = wanted.slice(start, start + openedAtOnce).map((person) => openEventSocket(side.server, person));
    sockets.push(...(await Promise.all(batch)));
  }
  return sockets;
}

/** Sends the events to a conversation of a new person, after the cursor that their first stream got. */
async function fillReplay(side: Side): Promise<{ person: Person; cursor: string }> {
  const person = createPerson(side.server);
  const [conversation] = await createConversations(side.server, [[person, required(side.people[0], 'a person')]]);
  const cursor = Promise.withResolvers<string>();
  const socket = await openEventSocket(side.server, person, { onCursor: cursor.resolve });
  const sends = readySends([required(conversation, 'a conversation')], replayedEvents + 1);
  const requests = sends.map(({ request }) => request);
  // Releases without an event for the start of a stream send the first cursor with the first message.
  await runClosedLoop(side.server.serverPort, 1, requests.splice(0, 1));
  const start = await cursor.promise;
  socket.close();
  await runClosedLoop(side.server.serverPort, fillConnections, requests);
  return { person, cursor: start };
}

async function until(isDone: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + replayTimeoutMs;
  while (!isDone()) {
    if (performance.now() > deadlineMs) throw new Error('the frames did not arrive in time');
    await sleep(pollMs);
  }
}
