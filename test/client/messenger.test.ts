import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Account } from '../support/clients/account.ts';
import { NoResponseError } from '#client/api/api-error.ts';
import { startFaultyProxy } from '../support/network/faulty-proxy.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { eventually } from './eventually.ts';
import { openPerson } from './person.ts';
import type { PersonOptions, TestPerson } from './person.ts';

let bed: TestBed;
const names = new Map<string, string>();
const open: TestPerson[] = [];

beforeAll(async () => {
  bed = await startTestBed();
});
afterAll(async () => {
  await Promise.all(open.map(({ messenger }) => messenger.close()));
  await bed.stop();
});

function accountOf(name: string): Account {
  const account = bed.account();
  names.set(account.did, name);
  return account;
}

async function person(account: Account, options: Partial<PersonOptions> = {}): Promise<TestPerson> {
  const opened = await openPerson({
    account,
    server: bed.server(),
    nameOf: (did) => names.get(did) ?? did,
    ...options,
  });
  open.push(opened);
  return opened;
}

const people = async (...of: string[]): Promise<TestPerson[]> => Promise.all(of.map((name) => person(accountOf(name))));

async function inGroup(of: readonly TestPerson[], convoId: string): Promise<void> {
  await eventually(() => of.map(({ messenger }) => messenger.group(convoId)?.members.length ?? 0)).toEqual(
    of.map(() => of.length),
  );
}

describe('conversations', () => {
  test('two people exchange messages in one order', async () => {
    const [alice, bob] = (await people('alice', 'bob')) as [TestPerson, TestPerson];
    const convoId = await alice.messenger.createConversation([bob.messenger.did]);
    await inGroup([alice, bob], convoId);
    await alice.say(convoId, 'hello');
    await eventually(() => bob.texts(convoId)).toEqual(['alice: hello']);
    await bob.say(convoId, 'hello to you');
    await eventually(() => alice.texts(convoId)).toEqual(['alice: hello', 'bob: hello to you']);
    await eventually(() => bob.texts(convoId)).toEqual(alice.texts(convoId));
    expect([...alice.errors, ...bob.errors]).toEqual([]);
  });

  test('a person who is added reads what is sent from then on, and a removed person nothing more', async () => {
    const [alice, bob, carol] = (await people('alice', 'bob', 'carol')) as [TestPerson, TestPerson, TestPerson];
    const convoId = await alice.messenger.createConversation([bob.messenger.did]);
    await alice.say(convoId, 'before carol');
    await alice.messenger.addMembers(convoId, [carol.messenger.did]);
    await inGroup([alice, bob, carol], convoId);
    await bob.say(convoId, 'welcome carol');
    await eventually(() => carol.texts(convoId)).toEqual(['bob: welcome carol']);
    await alice.messenger.removeMember(convoId, bob.messenger.did);
    await eventually(() => bob.events.some(({ kind }) => kind === 'removed')).toBe(true);
    await inGroup([alice, carol], convoId);
    await alice.say(convoId, 'bob is gone');
    await eventually(() => carol.texts(convoId)).toEqual(['bob: welcome carol', 'alice: bob is gone']);
    expect(bob.texts(convoId)).toEqual(['alice: before carol', 'bob: welcome carol']);
    expect([...alice.errors, ...bob.errors, ...carol.errors]).toEqual([]);
  });

  test('after a person has left, a remaining member takes them out of the group', async () => {
    const [alice, bob, carol] = (await people('alice', 'bob', 'carol')) as [TestPerson, TestPerson, TestPerson];
    const convoId = await alice.messenger.createConversation([bob.messenger.did, carol.messenger.did]);
    await inGroup([alice, bob, carol], convoId);
    await carol.messenger.leave(convoId);
    await inGroup([alice, bob], convoId);
    expect(carol.messenger.convoIds()).toEqual([]);
  });

  test('a second device of a person comes into the groups and reads along', async () => {
    const account = accountOf('bob');
    const alice = await person(accountOf('alice'));
    const telephone = await person(account);
    const convoId = await alice.messenger.createConversation([telephone.messenger.did]);
    await alice.say(convoId, 'on the telephone');
    const laptop = await person(account);
    await eventually(() => laptop.messenger.group(convoId)?.epoch).toBeGreaterThan(1);
    await eventually(() => alice.messenger.group(convoId)?.epoch).toBe(laptop.messenger.group(convoId)?.epoch);
    await alice.say(convoId, 'on both');
    await laptop.say(convoId, 'from the laptop');
    await eventually(() => laptop.texts(convoId)).toEqual(['alice: on both', 'bob: from the laptop']);
    await eventually(() => telephone.texts(convoId)).toEqual([
      'alice: on the telephone',
      'alice: on both',
      'bob: from the laptop',
    ]);
    expect([...alice.errors, ...telephone.errors, ...laptop.errors]).toEqual([]);
  });

  test('commits that race for an epoch all take effect, one after the other', async () => {
    const members = await people('a', 'b', 'c', 'd');
    const [first] = members as [TestPerson];
    const convoId = await first.messenger.createConversation(members.slice(1).map(({ messenger }) => messenger.did));
    await inGroup(members, convoId);
    await Promise.all(
      members.flatMap(({ messenger }) => [messenger.updateKeys(convoId), messenger.updateKeys(convoId)]),
    );
    await eventually(() => members.map(({ messenger }) => messenger.group(convoId)?.epoch)).toEqual([9, 9, 9, 9]);
  });

  test('a device that has lost a group joins it anew', async () => {
    const [alice, bob] = (await people('alice', 'bob')) as [TestPerson, TestPerson];
    const convoId = await alice.messenger.createConversation([bob.messenger.did]);
    await inGroup([alice, bob], convoId);
    await bob.messenger.rejoin(convoId);
    await eventually(() => alice.messenger.group(convoId)?.epoch).toBe(2);
    await alice.say(convoId, 'again');
    await eventually(() => bob.texts(convoId)).toEqual(['alice: again']);
    expect(alice.messenger.group(convoId)?.members).toHaveLength(2);
  });
});

test('a device that joins anew sends what it could not send before, and names the messages that it misses', async () => {
  const proxy = await startFaultyProxy(Number(new URL(bed.server().url).port));
  const server = { url: `http://127.0.0.1:${proxy.port}`, serviceDid: bed.server().serviceDid };
  const [alice] = (await people('alice')) as [TestPerson];
  const bob = await person(accountOf('bob'), { server, timeoutMs: 300 });
  const convoId = await alice.messenger.createConversation([bob.messenger.did]);
  await inGroup([alice, bob], convoId);
  await alice.say(convoId, 'read');
  await eventually(() => bob.texts(convoId)).toEqual(['alice: read']);
  await proxy.setMode('refuse');
  await expect(bob.say(convoId, 'not sent yet')).rejects.toBeInstanceOf(NoResponseError);
  await alice.say(convoId, 'missed');
  await proxy.setMode('pass');
  await bob.messenger.rejoin(convoId);
  await eventually(() => alice.texts(convoId)).toEqual(['alice: read', 'alice: missed', 'bob: not sent yet']);
  await eventually(() => bob.texts(convoId).at(-1)).toBe('bob: not sent yet');
  const isMissed = bob.events.some(({ kind }) => kind === 'unreadable');
  expect(isMissed || bob.texts(convoId).includes('alice: missed')).toBe(true);
  await bob.messenger.close();
  await proxy.close();
});

describe('restarts', () => {
  test('what was sent while a device was closed is there when it opens again', async () => {
    const [alice] = (await people('alice')) as [TestPerson];
    const account = accountOf('bob');
    const bob = await person(account);
    const convoId = await alice.messenger.createConversation([bob.messenger.did]);
    await inGroup([alice, bob], convoId);
    await bob.messenger.close();
    for (let count = 0; count < 5; count++) await alice.say(convoId, `message ${count}`);
    await alice.messenger.updateKeys(convoId);
    await alice.say(convoId, 'in the next epoch');
    const again = await person(account, { storage: bob.storage });
    await eventually(() => again.texts(convoId)).toEqual(
      [0, 1, 2, 3, 4].map((count) => `alice: message ${count}`).concat('alice: in the next epoch'),
    );
    expect(again.events.every(({ kind }) => kind !== 'unreadable')).toBe(true);
  });

  test('a new device is joined to conversations that began before it', async () => {
    const [alice] = (await people('alice')) as [TestPerson];
    const account = accountOf('bob');
    const bob = await person(account);
    const convoId = await alice.messenger.createConversation([bob.messenger.did]);
    await bob.messenger.close();
    const fresh = await person(account);
    await eventually(() => fresh.messenger.convoIds()).toEqual([convoId]);
  });
});
