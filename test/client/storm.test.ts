import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import type { Account } from '../support/clients/account.ts';
import { startFaultyProxy } from '../support/network/faulty-proxy.ts';
import type { FaultyProxy } from '../support/network/faulty-proxy.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { eventually } from './eventually.ts';
import { openPerson } from './person.ts';
import type { TestPerson } from './person.ts';

/** A long run: `CLIENT_OPERATIONS=1000`. */
const operationCount = Number(process.env['CLIENT_OPERATIONS'] ?? 120);
const peopleCount = 8;
const conversationCount = 4;

let bed: TestBed;
let proxy: FaultyProxy;
const people: TestPerson[] = [];

beforeAll(async () => {
  bed = await startTestBed();
  proxy = await startFaultyProxy(Number(new URL(bed.server().url).port));
  const server = { url: `http://127.0.0.1:${proxy.port}`, serviceDid: bed.server().serviceDid };
  const accounts = Array.from({ length: peopleCount }, (): Account => bed.account());
  people.push(
    ...(await Promise.all(
      accounts.map((account) =>
        openPerson({ account, server, timeoutMs: 1_500, stream: { waitMaxMs: 200, idleTimeoutMs: 2_000 } }),
      ),
    )),
  );
});
afterAll(async () => {
  await Promise.all(people.map(({ messenger }) => messenger.close()));
  await proxy.close();
  await bed.stop();
});

const pick = <Value>(values: readonly Value[]): Value => {
  const value = values[Math.floor(Math.random() * values.length)];
  if (value === undefined) throw new RangeError('there is nothing to choose from');
  return value;
};

/** Cuts all connections again and again until `signal` ends it. */
async function disturb(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await systemClock.sleep(150 + Math.random() * 250, signal);
    await proxy.setMode(pick(['close', 'refuse', 'silent']));
    await systemClock.sleep(20 + Math.random() * 60, signal);
    await proxy.setMode('pass');
  }
  await proxy.setMode('pass');
}

test(
  'after many operations over a network that cuts connections, all members are in one epoch and have the same messages',
  { timeout: 600_000 },
  async () => {
    const [first] = people as [TestPerson];
    const dids = people.slice(1).map(({ messenger }) => messenger.did);
    const convoIds: string[] = [];
    for (let count = 0; count < conversationCount; count++) {
      convoIds.push(await first.messenger.createConversation(dids));
    }
    await eventually(() => people.map(({ messenger }) => messenger.convoIds().length)).toEqual(
      people.map(() => conversationCount),
    );
    const ending = new AbortController();
    const disturbing = disturb(ending.signal);
    const sent = new Map<string, string[]>(convoIds.map((convoId) => [convoId, []]));
    const failures: unknown[] = [];
    const work = people.map(async (person, index) => {
      for (let count = 0; count < operationCount / peopleCount; count++) {
        const convoId = pick(convoIds);
        const text = `${index}/${count}`;
        try {
          if (Math.random() < 0.2) await person.messenger.updateKeys(convoId);
          else {
            sent.get(convoId)?.push(text);
            await person.say(convoId, text);
          }
        } catch (error) {
          // A lost response: the device sends the message again when it catches up.
          failures.push(error);
        }
      }
    });
    await Promise.all(work);
    ending.abort();
    await disturbing;
    for (const convoId of convoIds) {
      await Promise.all(people.map(({ messenger }) => messenger.catchUp(convoId)));
    }
    for (const convoId of convoIds) {
      const wanted = sent.get(convoId)?.toSorted();
      await eventually(() => people.map((person) => textsOf(person, convoId).toSorted())).toEqual(
        people.map(() => wanted),
      );
      const [transcript] = people.map((person) => textsOf(person, convoId));
      expect(people.map((person) => textsOf(person, convoId))).toEqual(people.map(() => transcript));
      expect(new Set(people.map(({ messenger }) => messenger.group(convoId)?.epoch)).size).toBe(1);
    }
    expect(people.flatMap(({ events }) => events.filter(({ kind }) => kind === 'unreadable'))).toEqual([]);
  },
);

/** Texts of a conversation in the order in which the device gave them to the app. */
function textsOf(person: TestPerson, convoId: string): string[] {
  return person.texts(convoId).map((text) => text.split(': ')[1] ?? '');
}
