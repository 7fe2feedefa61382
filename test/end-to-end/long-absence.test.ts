import { afterEach, beforeEach, expect, test } from 'vitest';
import { jobNames } from '#jobs/catalogue.ts';
import { ageDatabase } from '../support/postgres/age-database.ts';
import { runJob } from '../support/processes/run-job.ts';
import { createMemoryStorage } from '#client/storage/memory-storage.ts';
import type { ApiClient } from '#client/api/api-client.ts';
import { clientApi } from '../client/client-api.ts';
import { openPerson } from '../client/person.ts';
import type { TestPerson } from '../client/person.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';

// Real MLS clients on the real server, with every job run after the days have passed. Only stored times are moved.

let bed: TestBed;
const open = new Set<TestPerson>();
beforeEach(async () => void (bed = await startTestBed()));
afterEach(async () => {
  await Promise.all([...open].map(({ messenger }) => messenger.close()));
  open.clear();
  await bed.stop();
});

/** A person with one device, which is online only while `device` is open. */
class Person {
  readonly api: ApiClient;
  readonly did: string;
  readonly #account = bed.account();
  readonly #storage = createMemoryStorage();
  #device: TestPerson | undefined;

  constructor() {
    this.did = this.#account.did;
    this.api = clientApi(this.#account, bed.server());
  }

  get device(): TestPerson {
    return this.#device ?? expect.fail('the device is offline');
  }

  /** Opens the device with what it has stored, and brings all conversations up to date. */
  async comeOnline(): Promise<TestPerson> {
    const device = await openPerson({ account: this.#account, server: bed.server(), storage: this.#storage });
    open.add(device);
    return (this.#device = device);
  }

  async goOffline(): Promise<void> {
    await this.device.messenger.close();
    open.delete(this.device);
    this.#device = undefined;
  }
}

async function newPerson(): Promise<Person> {
  const person = new Person();
  await person.comeOnline();
  return person;
}

/** Waits until the device has received exactly these texts since it came online. */
async function expectTexts({ device }: Person, convoId: string, texts: readonly string[]): Promise<void> {
  const received = (): string[] => device.texts(convoId).map((line) => line.replace(/^did:plc:\w+: /, ''));
  await expect.poll(received, { timeout: 10_000 }).toEqual(texts);
}

/** Waits until both devices are in the same epoch; a device that joined by a Welcome made none of its own. */
async function expectEpoch(convoId: string, epoch: number, ...people: readonly Person[]): Promise<void> {
  await expect
    .poll(() => people.map(({ device }) => device.messenger.group(convoId)?.epoch), { timeout: 10_000 })
    .toEqual(people.map(() => epoch));
}

async function create(by: Person, ...others: readonly Person[]): Promise<string> {
  const convoId = await by.device.messenger.createConversation(others.map(({ did }) => did));
  for (const { device } of others)
    await expect.poll(() => device.messenger.convoIds(), { timeout: 10_000 }).toContain(convoId);
  return convoId;
}

/** Moves stored times `days` days into the past, and then runs every job twice. */
async function passDays(days: number): Promise<void> {
  await ageDatabase(bed.database.sql, days);
  for (const name of [...jobNames, ...jobNames]) await runJob(bed.database, name);
}

test('offline for 29 days: can be added, joins on return, and reads later messages; a member reads all of them', async () => {
  const [alice, bob, carol] = [await newPerson(), await newPerson(), await newPerson()];
  const convoId = await create(alice, carol);
  for (const person of [bob, carol]) await person.goOffline();
  await alice.device.say(convoId, 'on the first day');
  await passDays(2);
  await alice.device.say(convoId, 'on the third');
  await passDays(27);

  await alice.device.messenger.addMembers(convoId, [bob.did]);
  await alice.device.say(convoId, 'Welcome, Bob.');
  await passDays(0);
  await bob.comeOnline();
  await expectTexts(bob, convoId, ['Welcome, Bob.']);
  await expectEpoch(convoId, 2, bob, alice);
  await bob.device.say(convoId, 'Here I am.');

  expect((await carol.api.call('getMessages', { convoId, sinceSeq: 0 })).gapInfo).toBeUndefined();
  await carol.comeOnline();
  await expectTexts(carol, convoId, ['on the first day', 'on the third', 'Welcome, Bob.', 'Here I am.']);
  await expectEpoch(convoId, 2, alice, bob, carol);
});

test('offline for longer than the retention time of messages: deleted ones are reported as a gap, the rest can be read', async () => {
  const [alice, carol] = [await newPerson(), await newPerson()];
  const convoId = await create(alice, carol);
  await carol.goOffline();
  for (const text of ['one', 'two']) await alice.device.say(convoId, text);
  await passDays(2);
  await alice.device.say(convoId, 'three');
  await passDays(29);
  const { gapInfo, messages } = await carol.api.call('getMessages', { convoId, sinceSeq: 0 });
  expect(gapInfo).toEqual({ hasGaps: true, missingSeqs: [1, 2], totalMessages: 1 });
  expect(messages.map(({ seq }) => seq)).toEqual([3]);
  await carol.comeOnline();
  await expectTexts(carol, convoId, ['three']);
});

test('a member who missed a deleted commit gets the gap, and rejoins by external commit', async () => {
  const [alice, bob, carol] = [await newPerson(), await newPerson(), await newPerson()];
  const convoId = await create(alice, carol);
  await carol.goOffline();
  await alice.device.messenger.addMembers(convoId, [bob.did]);
  await passDays(31);
  const { gapInfo } = await carol.api.call('getMessages', { convoId, sinceSeq: 0 });
  expect(gapInfo?.missingSeqs).toEqual([1]);
  await alice.device.say(convoId, 'Carol cannot read this.');
  await carol.comeOnline();
  await expectEpoch(convoId, 3, alice, carol);
  await alice.device.say(convoId, 'Welcome back.');
  await expectTexts(carol, convoId, ['Welcome back.']);
});

test('offline for 100 days: the last-resort package without expiry is still stored, and the device is only flagged', async () => {
  const [alice, frank] = [await newPerson(), await newPerson()];
  const { deviceId } = frank.device.messenger;
  await frank.goOffline();
  await passDays(100);
  const [device] = await bed.database.sql<{ inactive: boolean }[]>`
    SELECT inactive_since IS NOT NULL AS inactive FROM devices WHERE device_id = ${deviceId}`;
  expect(device).toEqual({ inactive: true });
  const convoId = await alice.device.messenger.createConversation([frank.did]);
  await alice.device.say(convoId, 'Are you there?');
  await frank.comeOnline();
  await expectTexts(frank, convoId, ['Are you there?']);
  await expectEpoch(convoId, 1, frank, alice);
});

test('offline for 200 days: the device is deleted, and its owner registers it again and can be added', async () => {
  const [alice, frank] = [await newPerson(), await newPerson()];
  await frank.goOffline();
  await passDays(100);
  await passDays(100);
  const { missing } = await alice.api.call('getKeyPackages', { dids: [frank.did] });
  expect(missing).toEqual([frank.did]);
  await frank.comeOnline();
  const convoId = await create(alice, frank);
  await expectEpoch(convoId, 1, frank, alice);
});
