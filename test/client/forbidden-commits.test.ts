import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { required } from '#platform/errors.ts';
import { newUuid } from '#platform/ids.ts';
import type { Account } from '../support/clients/account.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { eventually } from './eventually.ts';
import { keyPackageOf, openMaliciousMember } from './malicious-member.ts';
import type { MaliciousMember } from './malicious-member.ts';
import { openPerson } from './person.ts';
import type { PersonOptions, TestPerson } from './person.ts';

let bed: TestBed;
const opened: TestPerson[] = [];

beforeAll(async () => {
  bed = await startTestBed();
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map(({ messenger }) => messenger.close()));
});
afterAll(() => bed.stop());

async function open(account: Account, options: Partial<PersonOptions> = {}): Promise<TestPerson> {
  const person = await openPerson({ account, server: bed.server(), ...options });
  opened.push(person);
  return person;
}

interface Group {
  readonly convoId: string;
  /** Alice is the admin; Bob and Carol are members. */
  readonly alice: TestPerson;
  readonly bob: TestPerson;
  readonly carol: TestPerson;
  readonly accounts: { readonly alice: Account; readonly bob: Account; readonly carol: Account };
  /** A member who is no admin, in the same epoch. */
  readonly mallory: MaliciousMember;
}

async function createGroup(): Promise<Group> {
  const accounts = { alice: bed.account(), bob: bed.account(), carol: bed.account() };
  const mallory = await openMaliciousMember(bed, bed.account());
  const [alice, bob, carol] = await Promise.all(Object.values(accounts).map((account) => open(account)));
  const group = { alice: required(alice, 'Alice'), bob: required(bob, 'Bob'), carol: required(carol, 'Carol') };
  const dids = [accounts.bob.did, accounts.carol.did, mallory.did];
  const convoId = await group.alice.messenger.createConversation(dids);
  await mallory.join(convoId);
  await inEpoch([group.bob, group.carol], convoId, 1);
  return { convoId, ...group, accounts, mallory };
}

const inEpoch = (people: readonly TestPerson[], convoId: string, epoch: number): Promise<void> =>
  eventually(() => people.map(({ messenger }) => messenger.group(convoId)?.epoch)).toEqual(people.map(() => epoch));

const refusalsOf = ({ events }: TestPerson): object[] => events.filter(({ kind }) => kind === 'commit-refused');

/** Waits until each of these people has refused one commit, which would have started epoch 2, and checks that they are in epoch 1. */
async function haveRefused(people: readonly TestPerson[], group: Group, reason: string): Promise<void> {
  const { convoId, mallory } = group;
  const refusal = { kind: 'commit-refused', convoId, epoch: 2, committerDid: mallory.did, reason };
  await eventually(() => people.map(refusalsOf)).toEqual(people.map(() => [refusal]));
  expect(people.map(({ messenger }) => messenger.group(convoId)?.epoch)).toEqual(people.map(() => 1));
}

describe('a commit that the role of its committer forbids', () => {
  test('no device applies the encrypted removal of a member; it stays refused after a restart, and rejoining leads out of it', async () => {
    const group = await createGroup();
    const { convoId, mallory, accounts, alice, bob, carol } = group;
    await mallory.commit(convoId, await mallory.mls.removeMember(accounts.carol.did, { wire: 'private' }));
    await haveRefused([alice, bob, carol], group, 'removes-member');
    await expect(bob.say(convoId, 'not sent')).rejects.toThrow(expect.objectContaining({ name: 'CommitRefusedError' }));
    await expect(alice.messenger.updateKeys(convoId)).rejects.toMatchObject({ name: 'CommitRefusedError', convoId });

    await bob.messenger.close();
    const bobAgain = await open(accounts.bob, { storage: bob.storage });
    await haveRefused([bobAgain], group, 'removes-member');
    await expect(bobAgain.say(convoId, 'not sent')).rejects.toMatchObject({ name: 'CommitRefusedError' });

    await alice.messenger.rejoin(convoId);
    await alice.messenger.removeMember(convoId, mallory.did);
    await alice.messenger.addMembers(convoId, [accounts.carol.did]);
    await Promise.all([carol, bobAgain].map(({ messenger }) => messenger.rejoin(convoId)));
    const honest = [alice, bobAgain, carol];
    await eventually(() => new Set(honest.map(({ messenger }) => messenger.group(convoId)?.epoch)).size).toBe(1);
    const dids = Object.values(accounts).map(({ did }) => did);
    for (const { messenger } of honest) expect(messenger.group(convoId)?.members.toSorted()).toEqual(dids.toSorted());
    await bobAgain.say(convoId, 'repaired');
    for (const person of honest) {
      await eventually(() => person.texts(convoId)).toEqual([`${accounts.bob.did}: repaired`]);
      expect(refusalsOf(person)).toHaveLength(1);
    }
  });

  test('no device applies the encrypted addition of a person who is no member', async () => {
    const group = await createGroup();
    const { convoId, mallory, alice, bob, carol } = group;
    const outsider = await keyPackageOf(bed.account().did);
    await mallory.commit(convoId, await mallory.mls.addMembers([outsider], { wire: 'private' }));
    await haveRefused([alice, bob, carol], group, 'adds-non-member');
  });

  test('a device that was away finds the commit, whatever its committer has committed since', async () => {
    const group = await createGroup();
    const { convoId, mallory, accounts, carol } = group;
    await carol.messenger.close();
    await mallory.commit(convoId, await mallory.mls.removeMember(accounts.bob.did, { wire: 'private' }));
    await mallory.commit(convoId, await mallory.mls.emptyCommit({ wire: 'private' }));
    await mallory.commit(convoId, await mallory.mls.emptyCommit());
    await haveRefused([await open(accounts.carol, { storage: carol.storage })], group, 'removes-member');
  });

  test('a device deletes the keys of a group with a refused commit when its person is not a member any more', async () => {
    const group = await createGroup();
    const { convoId, mallory, alice, bob, accounts } = group;
    const outsider = await keyPackageOf(bed.account().did);
    await mallory.commit(convoId, await mallory.mls.addMembers([outsider], { wire: 'private' }));
    await haveRefused([alice, bob], group, 'adds-non-member');
    await bob.messenger.close();
    await alice.messenger.rejoin(convoId);
    await alice.messenger.removeMember(convoId, accounts.bob.did);
    const bobAgain = await open(accounts.bob, { storage: bob.storage });
    await eventually(() => bobAgain.messenger.group(convoId)).toBeUndefined();
  });

  test("a member's commit leaves out another member's proposal to remove a third one, so that nobody refuses it", async () => {
    const { convoId, mallory, accounts, alice, bob, carol } = await createGroup();
    await mallory.propose(convoId, await mallory.mls.proposeRemoval(accounts.carol.did));
    await alice.messenger.catchUp(convoId);
    await alice.messenger.updateKeys(convoId);
    await inEpoch([alice, bob, carol], convoId, 2);
    expect(carol.messenger.group(convoId)?.members).toContain(accounts.carol.did);
    expect([alice, bob, carol].flatMap(refusalsOf)).toEqual([]);
  });
});

describe('a commit that is allowed', () => {
  test('an encrypted removal by an admin and of a person who left, and an encrypted addition that the service knows, are applied', async () => {
    const { convoId, mallory, accounts, alice, bob, carol } = await createGroup();
    const api = bed.client({ account: accounts.alice });
    await api.call('promoteAdmin', { convoId, targetDid: mallory.did });
    const removal = await mallory.mls.removeMember(accounts.carol.did, { wire: 'private' });
    const idempotencyKey = newUuid();
    const target = { convoId, targetDid: accounts.carol.did, idempotencyKey, groupInfo: base64(removal.groupInfo) };
    await mallory.client.call('removeMember', { ...target, commit: base64(removal.commit) });
    mallory.mls.acceptCommit();
    await inEpoch([alice, bob], convoId, 2);
    await eventually(() => carol.messenger.group(convoId)).toBeUndefined();
    await api.call('demoteAdmin', { convoId, targetDid: mallory.did });

    const dave = await open(bed.account());
    const { keyPackages } = await mallory.client.call('getKeyPackages', { dids: [dave.messenger.did], cipherSuite });
    const addition = await mallory.mls.addMembers(
      keyPackages.map(({ keyPackage }) => Buffer.from(keyPackage, 'base64')),
      { wire: 'private' },
    );
    await mallory.client.call('addMembers', {
      convoId,
      didList: [dave.messenger.did],
      commit: base64(addition.commit),
      welcomeMessage: base64(required(addition.welcome, 'a Welcome')),
      groupInfo: base64(addition.groupInfo),
    });
    mallory.mls.acceptCommit();
    await inEpoch([alice, bob, dave], convoId, 3);
    await dave.messenger.leave(convoId);
    await inEpoch([alice, bob], convoId, 4);
    await mallory.catchUp(convoId);
    await bob.say(convoId, 'in the group');
    await eventually(() => alice.texts(convoId)).toEqual([`${accounts.bob.did}: in the group`]);
    expect([alice, bob, carol, dave].flatMap(refusalsOf)).toEqual([]);
  });

  test('the owner of a device removes it by an encrypted commit', async () => {
    const { convoId, mallory, alice, bob, carol } = await createGroup();
    const tablet = await keyPackageOf(mallory.did);
    await mallory.commit(convoId, await mallory.mls.addMembers([tablet], { wire: 'private' }));
    await inEpoch([alice, bob, carol], convoId, 2);
    const lastLeaf = mallory.mls.members().length - 1;
    await mallory.commit(convoId, await mallory.mls.removeLeaf(lastLeaf));
    await inEpoch([alice, bob, carol], convoId, 3);
    expect([alice, bob, carol].flatMap(refusalsOf)).toEqual([]);
  });

  test('a device that was away while people joined, left and came back applies all of it, with one reading of the roster', async () => {
    const { convoId, accounts, alice, bob, carol } = await createGroup();
    // Only Bob, who is no admin, can commit now.
    await Promise.all([alice, carol].map(({ messenger }) => messenger.close()));
    const [dave, erin] = [await open(bed.account()), await open(bed.account())];
    const moving = [dave.messenger, erin.messenger];
    for (let round = 0; round < 2; round += 1) {
      const dids = moving.map(({ did }) => did);
      await bob.messenger.addMembers(convoId, dids);
      for (const messenger of moving) {
        await eventually(() => messenger.convoIds()).toContain(convoId);
        await messenger.leave(convoId);
        await eventually(() => bob.messenger.group(convoId)?.members).not.toContain(messenger.did);
      }
    }
    await bob.messenger.addMembers(convoId, [dave.messenger.did]);
    await eventually(() => dave.messenger.convoIds()).toContain(convoId);
    let readings = 0;
    const counting: typeof fetch = (input, init) => {
      if (String(input instanceof Request ? input.url : input).includes('getConvos')) readings += 1;
      return fetch(input, init);
    };
    const carolAgain = await open(accounts.carol, {
      storage: carol.storage,
      fetch: counting,
      sharedTaskWaitMaxMs: 3_600_000,
    });
    await inEpoch([carolAgain], convoId, required(bob.messenger.group(convoId), 'the group').epoch);
    await bob.say(convoId, 'after all that');
    await eventually(() => carolAgain.texts(convoId)).toEqual([`${accounts.bob.did}: after all that`]);
    expect([bob, carolAgain, dave, erin].flatMap(refusalsOf)).toEqual([]);
    expect(readings, 'one for the list of conversations, one for the checks').toBe(2);
  });
});

const cipherSuite = 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519';
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
