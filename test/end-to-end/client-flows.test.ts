import { afterAll, beforeAll, expect, test } from 'vitest';
import { ScriptedClient } from '../support/clients/scripted-client.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';

// The eight flows of the public client, each with what goes wrong on its way; its devices are spread over two servers.

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed({ servers: 2 })));
afterAll(() => bed?.stop());

let created = 0;

/** A new device of a new person, or of `owner`, registered. */
async function register(name: string, owner?: ScriptedClient): Promise<ScriptedClient> {
  const account = owner === undefined ? bed.account() : accounts.get(owner.did);
  if (account === undefined) throw new Error('an unknown owner');
  const client = await ScriptedClient.create(bed.client({ account, server: created++ % 2 }));
  accounts.set(client.did, account);
  await client.register(name);
  return client;
}
const accounts = new Map<string, ReturnType<TestBed['account']>>();

async function people<const Names extends readonly string[]>(
  ...names: Names
): Promise<{ [Index in keyof Names]: ScriptedClient }> {
  const clients = [];
  for (const name of names) clients.push(await register(`${name}'s telephone`));
  return clients as { [Index in keyof Names]: ScriptedClient };
}

function expectSameGroup(convoId: string, ...clients: readonly ScriptedClient[]): void {
  expect(new Set(clients.map((client) => client.secretsOf(convoId))).size).toBe(1);
}

test('1, 2: registers, and keeps the service stocked with packages that the device knows', async () => {
  const [alice] = await people('alice');
  const stocked = await alice.keepPackages();
  expect(stocked).toBeGreaterThan(2);
  expect(await alice.keepPackages()).toBe(stocked);
  alice.forgetPackages();
  expect(await alice.syncPackages()).toMatchObject({ orphanedCount: stocked, deletedCount: stocked });
  expect((await alice.syncPackages()).serverHashes).toEqual([]);
  expect(await alice.keepPackages()).toBe(stocked);
});

test('3, 5, 6: creates a conversation; the others join with the Welcome, and all read each other', async () => {
  const [alice, bob, carol] = await people('alice', 'bob', 'carol');
  const convoId = await alice.create('Birds', [bob, carol]);
  expect([await bob.join(convoId), await carol.join(convoId)]).toEqual(['welcome', 'welcome']);
  expectSameGroup(convoId, alice, bob, carol);
  expect([await alice.send(convoId, 'Hello.'), await bob.send(convoId, 'Hello, Alice.')]).toEqual([1, 2]);
  for (const client of [alice, bob, carol]) await client.catchUp(convoId);
  expect([alice, bob, carol].map((client) => client.textsOf(convoId))).toEqual([
    ['Hello, Alice.'],
    ['Hello.'],
    ['Hello.', 'Hello, Alice.'],
  ]);
});

test('4: adds and removes, and after a lost race catches up and tries again', async () => {
  const [alice, bob, carol, dora, erin] = await people('alice', 'bob', 'carol', 'dora', 'erin');
  const convoId = await alice.create('Owls', [bob, carol]);
  for (const client of [bob, carol]) await client.join(convoId);
  const attempts = await Promise.all([alice.add(convoId, [dora]), bob.add(convoId, [erin])]);
  expect(Math.max(...attempts)).toBeGreaterThan(1);
  for (const client of [dora, erin]) expect(await client.join(convoId)).toBe('welcome');
  // Bob and the others know nothing of this yet: their next calls are refused, and they recover.
  await alice.catchUp(convoId);
  expect(await alice.remove(convoId, carol)).toBe(1);
  await bob.send(convoId, 'Where is Carol?');
  for (const client of [alice, bob, dora, erin]) await client.catchUp(convoId);
  expectSameGroup(convoId, alice, bob, dora, erin);
  expect(dora.textsOf(convoId)).toEqual(['Where is Carol?']);
  await expect(carol.send(convoId, 'Let me in.')).rejects.toMatchObject({ status: 403 });
});

test('5: without a Welcome joins by external commit, and waits for a GroupInfo that is of this epoch', async () => {
  const [alice, bob, carol] = await people('alice', 'bob', 'carol');
  const convoId = await alice.create('Larks', [bob], [carol]);
  await bob.join(convoId);
  expect(await carol.join(convoId)).toBe('external');
  for (const client of [alice, bob]) await client.catchUp(convoId);
  expectSameGroup(convoId, alice, bob, carol);

  await bob.connect();
  await bed.database.sql`DELETE FROM group_infos WHERE group_id = ${Buffer.from(convoId, 'hex')}`;
  const rejoining = carol.joinByCommit(convoId, 'resync');
  await bob.stream.next('groupInfoRefreshRequestedEvent', ({ requestedBy }) => requestedBy === carol.did);
  await bob.updateGroupInfo(convoId);
  expect(await rejoining).toBe('external');
  await carol.send(convoId, 'Back again.');
  for (const client of [alice, bob]) await client.catchUp(convoId);
  expectSameGroup(convoId, alice, bob, carol);
  expect(alice.textsOf(convoId)).toEqual(['Back again.']);
  await bob.disconnect();
});

test('5: throws a Welcome away that it cannot open, and asks to be added when nothing else helps', async () => {
  const [alice, bob] = await people('alice', 'bob');
  const convoId = await alice.create('Rooks', [bob]);
  const reinstalled = await register("bob's telephone, reinstalled", bob);
  expect(await reinstalled.join(convoId)).toBe('external');
  await alice.catchUp(convoId);
  expectSameGroup(convoId, alice, reinstalled);

  await alice.connect();
  const lost = await register("bob's tablet", bob);
  expect(await lost.askForReaddition(convoId)).toBe(1);
  await alice.stream.next('readditionRequestedEvent', ({ userDid }) => userDid === bob.did);
  const additions = await alice.pendingAdditions();
  const addition = additions.find(({ deviceId }) => deviceId === lost.deviceId);
  expect(await alice.addNewDevice(addition ?? expect.fail('nothing waits'))).toBe(true);
  expect(await lost.join(convoId)).toBe('welcome');
  await reinstalled.catchUp(convoId);
  expectSameGroup(convoId, alice, reinstalled, lost);
  await alice.disconnect();
});

test('6: a message of an epoch that has ended is encrypted again', async () => {
  const [alice, bob, carol] = await people('alice', 'bob', 'carol');
  const convoId = await alice.create('Wrens', [bob]);
  await bob.join(convoId);
  await alice.add(convoId, [carol]);
  await carol.join(convoId);
  expect(await bob.send(convoId, 'Late, but whole.')).toBe(2);
  for (const client of [alice, carol]) {
    await client.catchUp(convoId);
    expect(client.textsOf(convoId)).toEqual(['Late, but whole.']);
  }
});

test('7: receives while connected, and what came meanwhile after it reconnects', async () => {
  const [alice, bob] = await people('alice', 'bob');
  const convoId = await alice.create('Terns', [bob]);
  await bob.join(convoId);
  await bob.connect();
  await alice.send(convoId, 'one');
  const { message } = await bob.stream.next('messageEvent', (event) => event.message.convoId === convoId);
  expect(message).toMatchObject({ seq: 1, messageType: 'app' });
  await bob.catchUp(convoId);
  await bob.disconnect();
  for (const text of ['two', 'three']) await alice.send(convoId, text);
  await bob.connect();
  for (const seq of [2, 3]) expect((await bob.stream.next('messageEvent')).message.seq).toBe(seq);
  await bob.catchUp(convoId);
  expect(bob.textsOf(convoId)).toEqual(['one', 'two', 'three']);
  await bob.disconnect();
});

test('8: a new device is added by one member who hears of it, and reads on', async () => {
  const [alice, bob, carol] = await people('alice', 'bob', 'carol');
  const convoId = await alice.create('Kites', [bob, carol]);
  for (const client of [bob, carol]) {
    await client.join(convoId);
    await client.connect();
  }
  const tablet = await register("alice's tablet", alice);
  const heard = [];
  for (const client of [bob, carol]) {
    const event = await client.stream.next('newDeviceEvent', ({ deviceId }) => deviceId === tablet.deviceId);
    expect(event).toMatchObject({
      convoId,
      userDid: alice.did,
      deviceCredentialDid: `${alice.did}#${tablet.deviceId}`,
    });
    heard.push({ id: event.pendingAdditionId, convoId });
  }
  const [ofBob, ofCarol] = heard;
  expect(ofBob).toEqual(ofCarol);
  const addition = ofBob ?? expect.fail('nobody heard of it');
  const added = await Promise.all([bob.addNewDevice(addition), carol.addNewDevice(addition)]);
  expect(added.filter(Boolean)).toHaveLength(1);
  expect(await tablet.join(convoId)).toBe('welcome');
  await bob.catchUp(convoId);
  await bob.send(convoId, 'To both of you.');
  for (const client of [alice, carol, tablet]) {
    await client.catchUp(convoId);
    expect(client.textsOf(convoId)).toEqual(['To both of you.']);
  }
  expectSameGroup(convoId, alice, bob, carol, tablet);
  expect(await carol.pendingAdditions()).toEqual([]);
  await Promise.all([bob.disconnect(), carol.disconnect()]);
});
