import { afterAll, beforeAll, expect, test } from 'vitest';
import { createMemoryStorage } from '#client/storage/memory-storage.ts';
import { systemClock } from '#platform/clock.ts';
import { startFaultyProxy } from '../support/network/faulty-proxy.ts';
import type { FaultyProxy } from '../support/network/faulty-proxy.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { eventually } from './eventually.ts';
import { openStormPerson, pick, runOperation } from './storm-operations.ts';
import type { Storm, StormDevice } from './storm-operations.ts';

/** A long run: `CLIENT_OPERATIONS=1000`. */
const operationCount = Number(process.env['CLIENT_OPERATIONS'] ?? 100);
const peopleCount = 8;
const movingCount = 3;
const conversationCount = 4;

let bed: TestBed;
let proxy: FaultyProxy;
const devices: StormDevice[] = [];

beforeAll(async () => {
  bed = await startTestBed();
  proxy = await startFaultyProxy(Number(new URL(bed.server().url).port));
  const server = serverBehindProxy();
  const opening = Array.from({ length: peopleCount }, async (_, index): Promise<StormDevice> => {
    const account = bed.account();
    const person = await openStormPerson(server, account, createMemoryStorage());
    return { person, account, isMoving: index >= peopleCount - movingCount, earlier: [] };
  });
  devices.push(...(await Promise.all(opening)));
});
afterAll(async () => {
  await Promise.all(devices.map(({ person }) => person.messenger.close()));
  await proxy.close();
  await bed.stop();
});

function serverBehindProxy(): { url: string; serviceDid: string } {
  return { url: `http://127.0.0.1:${proxy.port}`, serviceDid: bed.server().serviceDid };
}

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

async function startStorm(): Promise<Storm> {
  const first = devices[0] as StormDevice;
  const dids = devices.slice(1).map(({ account }) => account.did);
  const convoIds: string[] = [];
  for (let count = 0; count < conversationCount; count++) {
    convoIds.push(await first.person.messenger.createConversation(dids));
  }
  await eventually(() => devices.map(({ person }) => person.messenger.convoIds().length)).toEqual(
    devices.map(() => conversationCount),
  );
  const texts = (): Map<string, string[]> => new Map(convoIds.map((convoId) => [convoId, []]));
  return {
    bed,
    server: serverBehindProxy(),
    devices,
    convoIds,
    tally: new Map(),
    confirmed: texts(),
    unconfirmed: texts(),
    unexpected: [],
  };
}

/** Messages of one conversation as a device gave them to the app; each must have come once. */
function transcriptOf({ earlier, person }: StormDevice, convoId: string): { seq: number; text: string }[] {
  const found = [...earlier, person].flatMap(({ events }) =>
    events.flatMap((event) =>
      event.kind === 'message' && event.convoId === convoId
        ? [{ seq: event.seq, text: new TextDecoder().decode(event.content) }]
        : [],
    ),
  );
  const seqs = found.map(({ seq }) => seq);
  expect(seqs, 'in order, and none twice').toEqual([...new Set(seqs)].toSorted((a, b) => a - b));
  return found;
}

/** How many messages a device got since it came into the group for the last time. */
function countSinceJoined({ earlier, person }: StormDevice, convoId: string): number {
  const events = [...earlier, person].flatMap((each) => each.events).filter((event) => event.kind !== 'typing');
  const own = events.filter((event) => event.convoId === convoId);
  const joined = own.findLastIndex(({ kind }) => kind === 'joined');
  return own.slice(joined + 1).filter(({ kind }) => kind === 'message').length;
}

/** The members of the conversation as the service has them, and DIDs that still have to be taken out of the group. */
async function rosterOf(convoId: string): Promise<{ dids: string[]; pending: readonly string[] }> {
  const client = bed.client({ account: (devices[0] as StormDevice).account });
  const { conversations } = await client.call('getConvos', { limit: 100 });
  const found = conversations.find(({ groupId }) => groupId === convoId);
  return { dids: found?.members.map(({ did }) => did).toSorted() ?? [], pending: found?.needsRemovalCommit ?? [] };
}

/** All devices of members are in one epoch, with the service's roster, and no one else is in the group. */
async function inOneEpoch(convoId: string): Promise<StormDevice[]> {
  // A device that has failed several times waits up to a minute.
  await expect.poll(() => problemsOf(convoId), { timeout: 120_000, interval: 500 }).toEqual([]);
  const { dids } = await rosterOf(convoId);
  return devices.filter(({ account }) => dids.includes(account.did));
}

async function problemsOf(convoId: string): Promise<string[]> {
  const { dids, pending } = await rosterOf(convoId);
  const groups = devices.map(({ person }) => person.messenger.group(convoId));
  const epochs = new Set(groups.flatMap((group) => (group === undefined ? [] : [group.epoch])));
  const problems = groups.flatMap((group, index) => {
    const isMember = dids.includes((devices[index] as StormDevice).account.did);
    if (isMember !== (group !== undefined)) return [`device ${index}: member ${isMember}, in group ${!isMember}`];
    const members = group?.members.toSorted() ?? dids;
    return JSON.stringify(members) === JSON.stringify(dids) ? [] : [`device ${index} has other members`];
  });
  const lagging = groups.map(
    (group, index) => `${index} in ${group?.epoch}: ${devices[index]?.person.errors.slice(-3).map(String).join(' | ')}`,
  );
  const waiting = pending.map((did) => `${did} is still in the group`);
  return [...problems, ...waiting, ...(epochs.size > 1 ? [`epochs ${[...epochs].join()}`, ...lagging] : [])];
}

test(
  'after many operations over a network that cuts connections, all members are in one epoch and have the same messages',
  { timeout: 900_000 },
  async () => {
    const storm = await startStorm();
    const ending = new AbortController();
    const disturbing = disturb(ending.signal);
    let started = 0;
    const starters = devices.slice(0, peopleCount);
    const work = starters.map(async (device) => {
      while (started < operationCount) {
        started += 1;
        await runOperation(storm, device, started);
      }
    });
    await Promise.all(work);
    ending.abort();
    await disturbing;
    expect(storm.unexpected).toEqual([]);
    if (operationCount >= 1_000) process.stdout.write(`${JSON.stringify([...storm.tally])}\n`);
    const events = devices.flatMap(({ person, earlier }) => [...earlier, person].flatMap((each) => each.events));
    expect(events.filter(({ kind }) => kind === 'commit-refused')).toEqual([]);
    for (const convoId of storm.convoIds) await checkConversation(storm, convoId);
  },
);

async function checkConversation(storm: Storm, convoId: string): Promise<void> {
  const members = await inOneEpoch(convoId);
  const stable = members.filter((device) => !device.isMoving && devices.indexOf(device) < peopleCount);
  expect(stable).toHaveLength(peopleCount - movingCount);
  const confirmed = storm.confirmed.get(convoId) ?? [];
  const mayBeThere = new Set([...confirmed, ...(storm.unconfirmed.get(convoId) ?? [])]);
  const last = `the end of ${convoId}`;
  await (stable[0] as StormDevice).person.say(convoId, last);
  await eventually(() => members.map((device) => transcriptOf(device, convoId).at(-1)?.text)).toEqual(
    members.map(() => last),
  );
  const reference = transcriptOf(stable[0] as StormDevice, convoId);
  for (const device of stable) expect(transcriptOf(device, convoId)).toEqual(reference);
  for (const device of members) {
    // A person who came back, or a new device, has what was sent while it was in the group.
    const own = transcriptOf(device, convoId);
    const known = new Map(reference.map(({ seq, text }) => [seq, text]));
    expect(own.filter(({ seq, text }) => known.get(seq) !== text)).toEqual([]);
    const sinceJoined = own.slice(own.length - countSinceJoined(device, convoId));
    expect(sinceJoined).toEqual(reference.slice(reference.length - sinceJoined.length));
  }
  const texts = reference.map(({ text }) => text);
  expect(new Set(texts).size, 'no message is there twice').toBe(texts.length);
  expect(
    confirmed.filter((text) => !texts.includes(text)),
    'every confirmed message is there',
  ).toEqual([]);
  const fromStable = texts.filter((text) => Number(text.split('/')[0]) < peopleCount - movingCount);
  expect(fromStable.filter((text) => !mayBeThere.has(text))).toEqual([]);
  expect(
    [...mayBeThere].filter((text) => !texts.includes(text)),
    'a message whose sending was interrupted is sent later',
  ).toEqual([]);
  expect(
    stable.flatMap(({ person, earlier }) =>
      [...earlier, person].flatMap(({ events }) =>
        events.filter((event) => event.kind === 'unreadable' && event.convoId === convoId),
      ),
    ),
  ).toEqual([]);
}
