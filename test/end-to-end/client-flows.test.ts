import { afterAll, beforeAll, expect, test } from 'vitest';
import { ScriptedClient } from '../support/clients/scripted-client.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';

// The eight flows of the public client, each with its typical failures; the devices are distributed over two servers.

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed({ servers: 2 })));
afterAll(() => bed?.stop());

let created = 0;

/** Registers a new device of a new person, or of `owner`. */
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
  for (const name of names) clients.push(await register(`${name}'s phone`));
  return clients as { [Index in keyof Names]: ScriptedClient };
}

function expectSameGroup(convoId: string, ...clients: readonly ScriptedClient[]): void {
  expect(new Set(clients.map((client) => client.secretsOf(convoId))).size).toBe(1);
}

test('1, 2: registers, and keeps packages published that the device has the keys of', async () => {
  const [alice] = await people('alice');
  const published = await alice.replenishPackages();
  expect(published).toBeGreaterThan(2);
  expect(await alice.replenishPackages()).toBe(published);
  alice.forgetPackages();
  expect(await alice.syncPackages()).toMatchObject({ orphanedCount: published, deletedCount: published });
  expect((await alice.syncPackages()).serverHashes).toEqual([]);
  expect(await alice.replenishPackages()).toBe(published);
});

test("3, 5, 6: creates a conversation; the others join with the Welcome, and all can read each other's messages", async () => {
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

test('4: adds and removes members, and after EpochMismatch catches up and retries', async () => {
  const [alice, bob, carol, dora, erin] = await people('alice', 'bob', 'carol', 'dora', 'erin');
  const convoId = await alice.create('Owls', [bob, carol]);
  for (const client of [bob, carol]) await client.join(convoId);
  const attempts = await Promise.all([alice.add(convoId, [dora]), bob.add(convoId, [erin])]);
  expect(Math.max(...attempts)).toBeGreaterThan(1);
  for (const client of [dora, erin]) expect(await client.join(convoId)).toBe('welcome');
  // Bob and the others have not seen this commit yet: their next calls are refused, and they recover.
  await alice.catchUp(convoId);
  expect(await alice.remove(convoId, carol)).toBe(1);
  await bob.send(convoId, 'Where is Carol?');
  for (const client of [alice, bob, dora, erin]) await client.catchUp(convoId);
  expectSameGroup(convoId, alice, bob, dora, erin);
  expect(dora.textsOf(convoId)).toEqual(['Where is Carol?']);
  await expect(carol.send(convoId, 'Let me in.')).rejects.toMatchObject({ status: 403 });
});

test('5: without a Welcome joins by external commit, and waits for a GroupInfo of the current epoch', async () => {
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

test('5: discards a Welcome that it cannot open, and finally asks to be added again', async () => {
  const [alice, bob] = await people('alice', 'bob');
  const convoId = await alice.create('Rooks', [bob]);
  const reinstalled = await register("bob's phone, reinstalled", bob);
  expect(await reinstalled.join(convoId)).toBe('external');
  await alice.catchUp(convoId);
  expectSameGroup(convoId, alice, reinstalled);

  await alice.connect();
  const withoutState = await register("bob's tablet", bob);
  expect(await withoutState.requestReaddition(convoId)).toBe(1);
  await alice.stream.next('readditionRequestedEvent', ({ userDid }) => userDid === bob.did);
  const additions = await alice.pendingAdditions();
  const addition = additions.find(({ deviceId }) => deviceId === withoutState.deviceId);
  expect(await alice.addNewDevice(addition ?? expect.fail('no addition is pending'))).toBe(true);
  expect(await withoutState.join(convoId)).toBe('welcome');
  await reinstalled.catchUp(convoId);
  expectSameGroup(convoId, alice, reinstalled, withoutState);
  await alice.disconnect();
});

test('6: a message of a past epoch is encrypted again', async () => {
  const [alice, bob, carol] = await people('alice', 'bob', 'carol');
  const convoId = await alice.create('Wrens', [bob]);
  await bob.join(convoId);
  await alice.add(convoId, [carol]);
  await carol.join(convoId);
  expect(await bob.send(convoId, 'Late, but complete.')).toBe(2);
  for (const client of [alice, carol]) {
    await client.catchUp(convoId);
    expect(client.textsOf(convoId)).toEqual(['Late, but complete.']);
  }
});

test('7: receives while connected, and gets missed messages after it reconnects', async () => {
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

test('8: a new device is added by one member who gets the event, and can then read', async () => {
  const [alice, bob, carol] = await people('alice', 'bob', 'carol');
  const convoId = await alice.create('Kites', [bob, carol]);
  for (const client of [bob, carol]) {
    await client.join(convoId);
    await client.connect();
  }
  const tablet = await register("alice's tablet", alice);
  const additions = [];
  for (const client of [bob, carol]) {
    const event = await client.stream.next('newDeviceEvent', ({ deviceId }) => deviceId === tablet.deviceId);
    expect(event).toMatchObject({
      convoId,
      userDid: alice.did,
      deviceCredentialDid: `${alice.did}#${tablet.deviceId}`,
    });
    additions.push({ id: event.pendingAdditionId, convoId });
  }
  const [ofBob, ofCarol] = additions;
  expect(ofBob).toEqual(ofCarol);
  const addition = ofBob ?? expect.fail('no event arrived');
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
