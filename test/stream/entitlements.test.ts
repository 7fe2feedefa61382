import { afterAll, beforeAll, expect, test } from 'vitest';
import { lockWithoutMembershipCheck } from '#domain/conversations/lock-conversation.ts';
import { eventKinds, positionBefore } from '#domain/events/event.ts';
import type { EventRow } from '#domain/events/event.ts';
import { personOf, readTail } from '#domain/events/read-events.ts';
import { recordChange } from '#domain/membership/commits/record-change.ts';
import type { GroupChange } from '#domain/membership/commits/record-change.ts';
import { roles } from '#domain/membership/member.ts';
import { systemClock } from '#platform/clock.ts';
import { newSecret } from '#platform/ids.ts';
import { randomPeople, sendRandom, startDomainHarness } from '../support/domain-harness.ts';
import type { DomainHarness, TestConversation } from '../support/domain-harness.ts';
import { startLiveReader } from './live-reader.ts';
import type { LiveReader, TestListener } from './live-reader.ts';

let harness: DomainHarness;
let here: LiveReader;
let there: LiveReader;
beforeAll(async () => {
  harness = await startDomainHarness({ poolSize: 12 });
  here = await startLiveReader(harness, { poolSize: 4, onWrite: () => there.tail.wake() });
  there = await startLiveReader(harness, { poolSize: 4, onWrite: () => here.tail.wake() });
});
afterAll(async () => {
  await Promise.all([here.stop(), there.stop()]);
  await harness.close();
  const errors = [...here.errors, ...there.errors];
  if (errors.length > 0) throw new AggregateError(errors);
});

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + 10_000;
  while (!condition() && systemClock.monotonicMs() < deadlineMs) await systemClock.sleep(5);
  expect(condition()).toBe(true);
}

/** Changes the members without the checks of a method, as every method does in the end. */
async function change(
  reader: LiveReader,
  { groupId }: TestConversation,
  people: { joined?: readonly string[]; departed?: GroupChange['departed'] },
): Promise<void> {
  const joined = (people.joined ?? []).map((did) => ({ did, role: roles.member }));
  await reader.server.db.transaction().execute(async (tx) => {
    const locked = await lockWithoutMembershipCheck(tx, groupId);
    await recordChange(reader.server, tx, locked, { commit: undefined, joined, departed: people.departed ?? [] });
  });
  reader.server.onEvents();
}

/** All events of a conversation in the order of the log. */
async function logOf({ groupId }: TestConversation): Promise<EventRow[]> {
  const events: EventRow[] = [];
  for (;;) {
    const page = await readTail(harness.server, events.at(-1) ?? positionBefore(0), { limit: 500, gaps: 'pass' });
    if (page.events.length === 0) return events.filter((row) => row.groupId.equals(groupId));
    events.push(...page.events);
  }
}

/**
 * Computes which events a person may read from the log alone: from the first event of the change that added the person
 * to the event of the departure, for each time of membership.
 */
function entitledEvents(log: readonly EventRow[], did: string): { all: number[]; sinceLastJoin: number[] } {
  const all: number[] = [];
  let sinceLastJoin: number[] = [];
  let isMember = false;
  for (const row of log) {
    const concerned = personOf(harness.privacy, row);
    if (row.kind === eventKinds.joined && concerned === did && !isMember) {
      isMember = true;
      // Earlier events of the same change.
      sinceLastJoin = log
        .filter(({ position, eventNo }) => position === row.position && eventNo < row.eventNo)
        .map(({ eventNo }) => eventNo);
      all.push(...sinceLastJoin);
    }
    if (!isMember) continue;
    all.push(row.eventNo);
    sinceLastJoin.push(row.eventNo);
    if (concerned === did && (row.kind === eventKinds.left || row.kind === eventKinds.removed)) isMember = false;
  }
  return { all, sinceLastJoin };
}

function expectAsInLog(listener: TestListener, log: readonly EventRow[], attachedAfter: number): void {
  const received = listener.received.map(({ eventNo }) => eventNo);
  const entitled = entitledEvents(log, listener.did);
  const [all, sinceLastJoin] = [entitled.all, entitled.sinceLastJoin].map((eventNos) =>
    eventNos.filter((eventNo) => eventNo > attachedAfter),
  ) as [number[], number[]];
  expect(received).toEqual(all.filter((eventNo) => received.includes(eventNo)));
  // A person who has left and joined again before an event is delivered gets only the events since then.
  expect(received.filter((eventNo) => eventNo >= (sinceLastJoin[0] ?? Infinity))).toEqual(sinceLastJoin);
}

test('after a removal, a departure and a new join, a listener gets exactly the events of the times as a member', async () => {
  const [alice = '', bob = ''] = randomPeople(2);
  const conversation = await harness.createConversation([alice, bob]);
  const listeners: TestListener[] = [];
  for (const reader of [here, there]) {
    listeners.push(
      await reader.listen(bob, [conversation.groupId]),
      await reader.listen(alice, [conversation.groupId]),
    );
  }
  const send = (reader: LiveReader): Promise<unknown> => sendRandom(reader.server, alice, conversation);
  const delivered = async (): Promise<void> => {
    const log = await logOf(conversation);
    const ofAlice = listeners.filter(({ did }) => did === alice);
    await until(() => ofAlice.every(({ received }) => received.at(-1)?.eventNo === log.at(-1)?.eventNo));
  };
  for (const kind of ['removed', 'left'] as const) {
    for (const reader of [here, there]) {
      await send(reader);
      await send(here);
      await delivered();
      await change(reader, conversation, { departed: [{ did: bob, kind }] });
      await send(here);
      await send(there);
      await delivered();
      await change(reader, conversation, { joined: [bob] });
      await send(there);
      await send(here);
      await delivered();
    }
  }
  const log = await logOf(conversation);
  const { all } = entitledEvents(log, bob);
  const since = all.filter((eventNo) => eventNo > 2);
  for (const { received } of listeners.filter(({ did }) => did === bob)) {
    expect(received.map(({ eventNo }) => eventNo)).toEqual(since);
  }
  expect(log.length - since.length, 'bob was always a member').toBeGreaterThan(8);
  listeners.forEach((listener) => listener.close());
});

// Safe because each change of an entitlement writes its event in the same transaction (hub.ts).
test(
  'no listener gets an event from outside a time as a member, or misses one since the last join, in random changes',
  { timeout: 60_000 },
  async () => {
    const [alice = '', ...others] = randomPeople(9);
    const conversation = await harness.createConversation([alice, ...others.slice(0, 4)]);
    const listeners: TestListener[] = [];
    for (const reader of [here, there]) {
      for (const did of others) listeners.push(await reader.listen(did, [conversation.groupId]));
    }
    const attachedAfter = (await logOf(conversation)).length;
    const sending = [here, there, here].map(async (reader) => {
      for (let nth = 0; nth < 120; nth++) {
        await sendRandom(reader.server, alice, conversation);
        await systemClock.sleep((newSecret(1)[0] ?? 0) % 6);
      }
    });
    // Each person is changed by one task, so that every change is a change.
    const changing = others.map(async (did, nth) => {
      let isMember = nth < 4;
      const reader = nth % 2 === 0 ? here : there;
      for (let round = 0; round < 30; round++) {
        const kind = round % 4 < 2 ? 'left' : 'removed';
        await change(reader, conversation, isMember ? { departed: [{ did, kind }] } : { joined: [did] });
        isMember = !isMember;
        await systemClock.sleep((newSecret(1)[0] ?? 0) % 25);
      }
    });
    await Promise.all([...sending, ...changing]);
    await change(here, conversation, { joined: others.slice(4, 6) });
    await sendRandom(there.server, alice, conversation);
    const log = await logOf(conversation);
    const isOnLastMessage = ({ received }: TestListener): boolean => received.at(-1)?.eventNo === log.at(-1)?.eventNo;
    await until(() => listeners.filter(({ did }) => others.slice(4, 6).includes(did)).every(isOnLastMessage));
    await systemClock.sleep(100);
    for (const listener of listeners) expectAsInLog(listener, log, attachedAfter);
    expect(listeners.reduce((sum, { received }) => sum + received.length, 0)).toBeGreaterThan(500);
    listeners.forEach((listener) => listener.close());
  },
);
