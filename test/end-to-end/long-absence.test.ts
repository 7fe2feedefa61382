import { afterEach, beforeEach, expect, test } from 'vitest';
import { jobNames } from '#jobs/catalogue.ts';
import { ageDatabase } from '../support/postgres/age-database.ts';
import { runJob } from '../support/processes/run-job.ts';
import { ScriptedClient } from '../support/clients/scripted-client.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';

// Real MLS clients on the real server, with every job run after the days have passed. Only stored times are moved.

let bed: TestBed;
beforeEach(async () => void (bed = await startTestBed()));
afterEach(() => bed.stop());

interface Person {
  readonly scripted: ScriptedClient;
  readonly raw: XrpcClient;
}

async function newPerson(): Promise<Person> {
  const raw = bed.client();
  const scripted = await ScriptedClient.create(raw);
  await scripted.register('phone');
  return { scripted, raw };
}

/** Moves stored times `days` days into the past, and then runs every job twice. */
async function passDays(days: number): Promise<void> {
  await ageDatabase(bed.database.sql, days);
  for (const name of [...jobNames, ...jobNames]) await runJob(bed.database, name);
}

/** The page for a person who has read up to `sinceSeq`. */
const read = ({ raw }: Person, convoId: string, sinceSeq: number): ReturnType<typeof raw.call<'getMessages'>> =>
  raw.call('getMessages', { convoId, sinceSeq });

test('offline for 29 days: can be added, joins on return, and reads later messages; a member reads all of them', async () => {
  const [alice, bob, carol] = [await newPerson(), await newPerson(), await newPerson()];
  const convoId = await alice.scripted.create('Storks', [carol.scripted]);
  await carol.scripted.join(convoId);
  await alice.scripted.send(convoId, 'on the first day');
  await passDays(2);
  await alice.scripted.send(convoId, 'on the third');
  await passDays(27);

  await alice.scripted.add(convoId, [bob.scripted]);
  await alice.scripted.send(convoId, 'Welcome, Bob.');
  await passDays(0);
  expect(await bob.scripted.join(convoId)).toBe('welcome');
  expect(bob.scripted.textsOf(convoId)).toEqual(['Welcome, Bob.']);
  await bob.scripted.send(convoId, 'Here I am.');

  expect((await read(carol, convoId, 0)).gapInfo).toBeUndefined();
  await carol.scripted.catchUp(convoId);
  expect(carol.scripted.textsOf(convoId)).toEqual(['on the first day', 'on the third', 'Welcome, Bob.', 'Here I am.']);
  expect(carol.scripted.secretsOf(convoId)).toBe(bob.scripted.secretsOf(convoId));
});

test('offline for longer than the retention time of messages: deleted ones are reported as a gap, the rest can be read', async () => {
  const [alice, carol] = [await newPerson(), await newPerson()];
  const convoId = await alice.scripted.create('Cranes', [carol.scripted]);
  await carol.scripted.join(convoId);
  for (const text of ['one', 'two']) await alice.scripted.send(convoId, text);
  await passDays(2);
  await alice.scripted.send(convoId, 'three');
  await passDays(29);
  const { gapInfo, messages } = await read(carol, convoId, 0);
  expect(gapInfo).toEqual({ hasGaps: true, missingSeqs: [1, 2], totalMessages: 1 });
  expect(messages.map(({ seq }) => seq)).toEqual([3]);
  await carol.scripted.catchUp(convoId);
  expect(carol.scripted.textsOf(convoId)).toEqual(['three']);
});

test('a member who missed a deleted commit gets the gap, and rejoins by external commit', async () => {
  const [alice, bob, carol] = [await newPerson(), await newPerson(), await newPerson()];
  const convoId = await alice.scripted.create('Swifts', [carol.scripted]);
  await carol.scripted.join(convoId);
  await alice.scripted.add(convoId, [bob.scripted]);
  await passDays(31);
  const { gapInfo } = await read(carol, convoId, 0);
  expect(gapInfo?.missingSeqs).toEqual([1]);
  expect(await carol.scripted.joinByCommit(convoId, 'resync')).toBe('external');
  await alice.scripted.catchUp(convoId);
  await alice.scripted.send(convoId, 'Welcome back.');
  await carol.scripted.catchUp(convoId);
  expect(carol.scripted.textsOf(convoId)).toEqual(['Welcome back.']);
});

test('offline for 100 days: the last-resort package without expiry is still stored, and the device is only flagged', async () => {
  const [alice, frank] = [await newPerson(), await newPerson()];
  await frank.scripted.publishLastResort();
  await passDays(100);
  const [device] = await bed.database.sql<{ inactive: boolean }[]>`
    SELECT inactive_since IS NOT NULL AS inactive FROM devices WHERE device_id = ${frank.scripted.deviceId}`;
  expect(device).toEqual({ inactive: true });
  const convoId = await alice.scripted.create('Albatrosses', [frank.scripted]);
  await alice.scripted.send(convoId, 'Are you there?');
  expect(await frank.scripted.join(convoId)).toBe('welcome');
  expect(frank.scripted.textsOf(convoId)).toEqual(['Are you there?']);
});

test('offline for 200 days: the device is deleted, and its owner registers it again and can be added', async () => {
  const [alice, frank] = [await newPerson(), await newPerson()];
  await frank.scripted.publishLastResort();
  await passDays(100);
  await passDays(100);
  const { missing } = await alice.raw.call('getKeyPackages', { dids: [frank.raw.did] });
  expect(missing).toEqual([frank.raw.did]);
  await frank.scripted.register('the same phone');
  const convoId = await alice.scripted.create('Albatrosses', [frank.scripted]);
  expect(await frank.scripted.join(convoId)).toBe('welcome');
});
