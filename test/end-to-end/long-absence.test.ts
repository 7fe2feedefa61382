import { afterEach, beforeEach, expect, test } from 'vitest';
import { jobNames } from '#jobs/catalogue.ts';
import { ageDatabase } from '../support/postgres/age-database.ts';
import { runJob } from '../support/processes/run-job.ts';
import { ScriptedClient } from '../support/clients/scripted-client.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';

// Real MLS clients on the real server, with every job run when days have gone by. Time goes by for what is stored.

let bed: TestBed;
beforeEach(async () => void (bed = await startTestBed()));
afterEach(() => bed.stop());

interface Person {
  readonly scripted: ScriptedClient;
  readonly raw: XrpcClient;
}

async function arrive(): Promise<Person> {
  const raw = bed.client();
  const scripted = await ScriptedClient.create(raw);
  await scripted.register('telephone');
  return { scripted, raw };
}

/** Lets `days` go by, and then the jobs run twice. */
async function pass(days: number): Promise<void> {
  await ageDatabase(bed.database.sql, days);
  for (const name of [...jobNames, ...jobNames]) await runJob(bed.database, name);
}

/** The answer to somebody who has read up to `sinceSeq`. */
const read = ({ raw }: Person, convoId: string, sinceSeq: number): ReturnType<typeof raw.call<'getMessages'>> =>
  raw.call('getMessages', { convoId, sinceSeq });

test('offline for 29 days: can be added, joins on return, and reads what came since; a member reads all of it', async () => {
  const [alice, bob, carol] = [await arrive(), await arrive(), await arrive()];
  const convoId = await alice.scripted.create('Storks', [carol.scripted]);
  await carol.scripted.join(convoId);
  await alice.scripted.send(convoId, 'on the first day');
  await pass(2);
  await alice.scripted.send(convoId, 'on the third');
  await pass(27);

  await alice.scripted.add(convoId, [bob.scripted]);
  await alice.scripted.send(convoId, 'Welcome, Bob.');
  await pass(0);
  expect(await bob.scripted.join(convoId)).toBe('welcome');
  expect(bob.scripted.textsOf(convoId)).toEqual(['Welcome, Bob.']);
  await bob.scripted.send(convoId, 'Here I am.');

  expect((await read(carol, convoId, 0)).gapInfo).toBeUndefined();
  await carol.scripted.catchUp(convoId);
  expect(carol.scripted.textsOf(convoId)).toEqual(['on the first day', 'on the third', 'Welcome, Bob.', 'Here I am.']);
  expect(carol.scripted.secretsOf(convoId)).toBe(bob.scripted.secretsOf(convoId));
});

test('offline for longer than messages are kept: what is gone is told as a gap, the rest is read', async () => {
  const [alice, carol] = [await arrive(), await arrive()];
  const convoId = await alice.scripted.create('Cranes', [carol.scripted]);
  await carol.scripted.join(convoId);
  for (const text of ['one', 'two']) await alice.scripted.send(convoId, text);
  await pass(2);
  await alice.scripted.send(convoId, 'three');
  await pass(29);
  const { gapInfo, messages } = await read(carol, convoId, 0);
  expect(gapInfo).toEqual({ hasGaps: true, missingSeqs: [1, 2], totalMessages: 1 });
  expect(messages.map(({ seq }) => seq)).toEqual([3]);
  await carol.scripted.catchUp(convoId);
  expect(carol.scripted.textsOf(convoId)).toEqual(['three']);
});

test('a member who has missed a commit that is gone is told so, and comes back by external commit', async () => {
  const [alice, bob, carol] = [await arrive(), await arrive(), await arrive()];
  const convoId = await alice.scripted.create('Swifts', [carol.scripted]);
  await carol.scripted.join(convoId);
  await alice.scripted.add(convoId, [bob.scripted]);
  await pass(31);
  const { gapInfo } = await read(carol, convoId, 0);
  expect(gapInfo?.missingSeqs).toEqual([1]);
  expect(await carol.scripted.joinByCommit(convoId, 'resync')).toBe('external');
  await alice.scripted.catchUp(convoId);
  await alice.scripted.send(convoId, 'Welcome back.');
  await carol.scripted.catchUp(convoId);
  expect(carol.scripted.textsOf(convoId)).toEqual(['Welcome back.']);
});

test('offline for 100 days: the last-resort package without an end is still there, and the device is only flagged', async () => {
  const [alice, frank] = [await arrive(), await arrive()];
  await frank.scripted.keepLastResort();
  await pass(100);
  const [device] = await bed.database.sql<{ inactive: boolean }[]>`
    SELECT inactive_since IS NOT NULL AS inactive FROM devices WHERE device_id = ${frank.scripted.deviceId}`;
  expect(device).toEqual({ inactive: true });
  const convoId = await alice.scripted.create('Albatrosses', [frank.scripted]);
  await alice.scripted.send(convoId, 'Are you there?');
  expect(await frank.scripted.join(convoId)).toBe('welcome');
  expect(frank.scripted.textsOf(convoId)).toEqual(['Are you there?']);
});

test('offline for 200 days: the device is gone, its owner registers it again and can be added', async () => {
  const [alice, frank] = [await arrive(), await arrive()];
  await frank.scripted.keepLastResort();
  await pass(100);
  await pass(100);
  const { missing } = await alice.raw.call('getKeyPackages', { dids: [frank.raw.did] });
  expect(missing).toEqual([frank.raw.did]);
  await frank.scripted.register('the same telephone');
  const convoId = await alice.scripted.create('Albatrosses', [frank.scripted]);
  expect(await frank.scripted.join(convoId)).toBe('welcome');
});
