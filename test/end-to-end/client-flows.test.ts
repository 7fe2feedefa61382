import { afterAll, beforeAll, expect, test } from 'vitest';
import { createMemoryStorage } from '#client/storage/memory-storage.ts';
import { clientApi } from '../client/client-api.ts';
import { openPerson } from '../client/person.ts';
import type { PersonOptions, TestPerson } from '../client/person.ts';
import type { Account } from '../support/clients/account.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';

// The flows of a client, each with its typical failures; the devices are distributed over two servers.

let bed: TestBed;
const open: TestPerson[] = [];
const names = new Map<string, string>();
beforeAll(async () => void (bed = await startTestBed({ servers: 2 })));
afterAll(async () => {
  await Promise.all(open.map(({ messenger }) => messenger.close()));
  await bed?.stop();
});

/** Opens a device of a new person, or of `account`, on one server and then the other. */
async function device(
  name: string,
  options: Partial<PersonOptions> & { readonly account?: Account } = {},
): Promise<TestPerson> {
  const { account = bed.account(), ...rest } = options;
  names.set(account.did, name);
  const server = bed.server(open.length % 2);
  const opened = await openPerson({ account, server, nameOf: (did) => names.get(did) ?? did, ...rest });
  open.push(opened);
  return opened;
}

async function people<const Names extends readonly string[]>(
  ...of: Names
): Promise<{ [Index in keyof Names]: TestPerson }> {
  const opened = [];
  for (const name of of) opened.push(await device(name));
  return opened as { [Index in keyof Names]: TestPerson };
}

const didsOf = (...of: readonly TestPerson[]): string[] => of.map(({ messenger }) => messenger.did);

/** Waits until all these devices are in one epoch, in which the members are the people of these devices. */
async function expectOneGroup(convoId: string, ...of: readonly TestPerson[]): Promise<void> {
  const members = [...new Set(didsOf(...of))].toSorted();
  await expect
    .poll(
      () => {
        const groups = of.map(({ messenger }) => messenger.group(convoId));
        const isOneEpoch = new Set(groups.map((group) => group?.epoch)).size === 1;
        return isOneEpoch && groups.map((group) => group?.members.toSorted());
      },
      { timeout: 20_000 },
    )
    .toEqual(of.map(() => members));
}

/** Sends a text, which all devices must be able to decrypt. */
async function expectReadable(convoId: string, text: string, ...of: readonly TestPerson[]): Promise<void> {
  await of[0]?.say(convoId, text);
  for (const each of of)
    await expect.poll(() => each.texts(convoId).at(-1), { timeout: 20_000 }).toMatch(new RegExp(`: ${text}$`));
}

test('registers, and keeps packages published that the device has the keys of', async () => {
  const account = bed.account();
  const storage = createMemoryStorage();
  const api = clientApi(account, bed.server(1));
  const available = async (): Promise<number> => (await api.call('getKeyPackageStats', {})).available;
  const first = await device('alice', { account, storage });
  const published = await available();
  expect(published).toBeGreaterThan(3);
  await first.messenger.close();
  const lost = await storage.keys('key-package/');
  expect(lost).toHaveLength(published);
  await storage.write(lost.map((key) => ({ key, value: undefined })));
  const again = await device('alice', { account, storage });
  expect(again.messenger.deviceId).toBe(first.messenger.deviceId);
  // The device deletes the packages whose keys it has lost, so that others can only claim those that it can open.
  expect(await available()).toBe(published);
  const refs = (await storage.keys('key-package/')).map((key) => key.replace('key-package/', ''));
  const { serverHashes } = await api.call('syncKeyPackages', { localHashes: refs, deviceId: first.messenger.deviceId });
  expect(serverHashes.toSorted()).toEqual(refs.toSorted());
});

test('commits from both servers race for epochs, and messages of past epochs are encrypted again', async () => {
  const [alice, bob, carol, dora, erin] = await people('alice', 'bob', 'carol', 'dora', 'erin');
  const convoId = await alice.messenger.createConversation(didsOf(bob, carol));
  await expectOneGroup(convoId, alice, bob, carol);
  await Promise.all([
    alice.messenger.addMembers(convoId, didsOf(dora)),
    bob.messenger.addMembers(convoId, didsOf(erin)),
    ...['one', 'two', 'three'].map((text) => carol.say(convoId, text)),
  ]);
  await expectOneGroup(convoId, alice, bob, carol, dora, erin);
  await expect
    .poll(() => alice.texts(convoId), { timeout: 20_000 })
    .toEqual(['carol: one', 'carol: two', 'carol: three']);
  await Promise.all([alice.messenger.removeMember(convoId, carol.messenger.did), bob.say(convoId, 'Where is Carol?')]);
  await expectOneGroup(convoId, alice, bob, dora, erin);
  await expect.poll(() => carol.messenger.convoIds(), { timeout: 20_000 }).toEqual([]);
  await expect(carol.say(convoId, 'Let me in.')).rejects.toMatchObject({ name: 'NotInGroupError' });
  await expectReadable(convoId, 'Without Carol', dora, alice, bob, erin);
  expect(carol.texts(convoId)).not.toContain('dora: Without Carol');
});

test('without a Welcome joins by external commit, and waits for a GroupInfo of the current epoch', async () => {
  const account = bed.account();
  const alice = await device('alice', { account });
  const [bob, carol] = await people('bob', 'carol');
  const convoId = await alice.messenger.createConversation(didsOf(bob));
  await expectOneGroup(convoId, alice, bob);
  const api = clientApi(account, bed.server());
  await api.call('addMembers', { convoId, didList: didsOf(carol) });
  await expectOneGroup(convoId, alice, bob, carol);

  await bed.database.sql`DELETE FROM group_infos WHERE group_id = ${Buffer.from(convoId, 'hex')}`;
  const { epoch } = alice.messenger.group(convoId) ?? expect.fail('Alice is in the group');
  const rejoin = async (): Promise<number | undefined> => {
    await carol.messenger.rejoin(convoId).catch(() => undefined);
    return carol.messenger.group(convoId)?.epoch;
  };
  expect(await rejoin(), 'without a GroupInfo, for which it asks the members').not.toBe(epoch + 1);
  await expect.poll(rejoin, { timeout: 20_000 }).toBe(epoch + 1);
  await expectReadable(convoId, 'Back again', carol, alice, bob);
});

test('discards a Welcome that it cannot open, and joins by itself', async () => {
  const account = bed.account();
  const bob = await device('bob', { account });
  await bob.messenger.close();
  const alice = await device('alice');
  const convoId = await alice.messenger.createConversation(didsOf(bob));
  const reinstalled = await device('bob', { account });
  await expectOneGroup(convoId, alice, reinstalled);
  await expectReadable(convoId, 'Hello again', alice, reinstalled);
  await expectReadable(convoId, 'I am back', reinstalled, alice);
});

test('receives while connected, and gets missed messages after it reconnects', async () => {
  const account = bed.account();
  const storage = createMemoryStorage();
  const [alice, carol] = await people('alice', 'carol');
  const bob = await device('bob', { account, storage });
  const convoId = await alice.messenger.createConversation(didsOf(bob));
  await expectReadable(convoId, 'one', alice, bob);
  await bob.messenger.close();
  await alice.say(convoId, 'two');
  await alice.messenger.addMembers(convoId, didsOf(carol));
  await alice.say(convoId, 'three');
  const back = await device('bob', { account, storage });
  await expectOneGroup(convoId, alice, back, carol);
  await expect.poll(() => back.texts(convoId), { timeout: 20_000 }).toEqual(['alice: two', 'alice: three']);
  expect(bob.texts(convoId)).toEqual(['alice: one']);
});

test('a new device gets into the groups of its person, and can then read', async () => {
  const [ofAlice, ofCarol] = [bed.account(), bed.account()];
  const alice = await device('alice', { account: ofAlice });
  const carol = await device('carol', { account: ofCarol });
  const [bob] = await people('bob');
  const convoId = await alice.messenger.createConversation(didsOf(bob, carol));
  await expectOneGroup(convoId, alice, bob, carol);
  const tablet = await device('alice', { account: ofAlice });
  await expectOneGroup(convoId, alice, bob, carol, tablet);
  await expectReadable(convoId, 'To both of you', bob, alice, carol, tablet);
  const api = clientApi(ofCarol, bed.server());
  await expect
    .poll(async () => (await api.call('getPendingDeviceAdditions', {})).pendingAdditions, { timeout: 20_000 })
    .toEqual([]);
  expect(open.flatMap(({ errors }) => errors)).toEqual([]);
});
