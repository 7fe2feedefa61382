import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { clientApi } from './client-api.ts';
import { openPerson } from './person.ts';

let bed: TestBed;

beforeAll(async () => {
  bed = await startTestBed();
});
afterAll(() => bed.stop());

test('the app of every member learns of a changed role, and the members stay in the group', async () => {
  const server = bed.server();
  const [ofAlice, ofBob] = [bed.account(), bed.account()];
  const alice = await openPerson({ account: ofAlice, server });
  const bob = await openPerson({ account: ofBob, server });
  const convoId = await alice.messenger.createConversation([ofBob.did]);
  await expect.poll(() => bob.messenger.group(convoId)?.members.length, { timeout: 10_000 }).toBe(2);
  const api = clientApi(ofAlice, server);
  const target = { convoId, targetDid: ofBob.did };
  await api.call('promoteAdmin', target);
  await api.call('demoteAdmin', target);
  await bob.say(convoId, 'still here');
  for (const person of [alice, bob]) {
    await expect
      .poll(() => person.events.filter(({ kind }) => kind === 'role'), { timeout: 10_000 })
      .toEqual(['admin', 'member'].map((role) => ({ kind: 'role', convoId, did: ofBob.did, role })));
    await expect.poll(() => person.texts(convoId), { timeout: 10_000 }).toEqual([`${ofBob.did}: still here`]);
  }
  expect([...alice.errors, ...bob.errors]).toEqual([]);
  await Promise.all([alice, bob].map(({ messenger }) => messenger.close()));
});
