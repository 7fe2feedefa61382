import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NoKeyPackageError } from '#client/conversation/conversation-error.ts';
import type { Account } from '../support/clients/account.ts';
import { startFaultyProxy } from '../support/network/faulty-proxy.ts';
import type { FaultyProxy } from '../support/network/faulty-proxy.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { eventually } from './eventually.ts';
import { openPerson } from './person.ts';
import type { PersonOptions, TestPerson } from './person.ts';

let bed: TestBed;
let proxy: FaultyProxy;
const open: TestPerson[] = [];

beforeAll(async () => {
  bed = await startTestBed();
  proxy = await startFaultyProxy(Number(new URL(bed.server().url).port));
});
afterAll(async () => {
  await proxy.setMode('pass');
  await Promise.all(open.map(({ messenger }) => messenger.close()));
  await proxy.close();
  await bed.stop();
});

async function person(account: Account = bed.account(), options: Partial<PersonOptions> = {}): Promise<TestPerson> {
  const opened = await openPerson({ account, server: bed.server(), nameOf: () => 'x', ...options });
  open.push(opened);
  return opened;
}

/** A person whose network can be broken. */
function behindProxy(account?: Account, options: Partial<PersonOptions> = {}): Promise<TestPerson> {
  const server = { url: `http://127.0.0.1:${proxy.port}`, serviceDid: bed.server().serviceDid };
  return person(account, { server, timeoutMs: 300, ...options });
}

/** The network of a device that gets no ticket for its stream until `open` is called. */
function lateStream(): { readonly fetch: typeof fetch; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return {
    async fetch(input, init) {
      const url = input instanceof Request ? input.url : String(input);
      if (url.includes('getSubscriptionTicket')) await promise;
      return fetch(input, init);
    },
    open: resolve,
  };
}

const textsOf = (of: TestPerson, convoId: string): string[] => of.texts(convoId).map((text) => text.slice(3));

async function conversationOf(of: readonly TestPerson[]): Promise<string> {
  const [first, ...others] = of as [TestPerson, ...TestPerson[]];
  const convoId = await first.messenger.createConversation(others.map(({ messenger }) => messenger.did));
  await eventually(() => of.map(({ messenger }) => messenger.group(convoId)?.members.length)).toEqual(
    of.map(() => of.length),
  );
  return convoId;
}

describe('joining', () => {
  test('a person without a key package cannot be added, and the error names them', async () => {
    const alice = await person();
    const stranded = bed.account();
    const refused = alice.messenger.createConversation([stranded.did]);
    await expect(refused).rejects.toBeInstanceOf(NoKeyPackageError);
    await expect(refused).rejects.toMatchObject({ dids: [stranded.did] });
    expect(alice.messenger.convoIds()).toEqual([]);
  });

  test('a device that cannot use its Welcome joins by an external commit', async () => {
    const alice = await person();
    const account = bed.account();
    const bob = await person(account);
    await bob.messenger.close();
    const convoId = await alice.messenger.createConversation([bob.messenger.did]);
    const lost = await bob.storage.keys('key-package/');
    await bob.storage.write(lost.map((key) => ({ key, value: undefined })));
    const again = await person(account, { storage: bob.storage });
    await eventually(() => again.messenger.convoIds()).toEqual([convoId]);
    await eventually(() => alice.messenger.group(convoId)?.epoch).toBe(2);
    await alice.say(convoId, 'hello');
    await eventually(() => textsOf(again, convoId)).toEqual(['hello']);
  });

  test('a device for which there is no GroupInfo gets one from a member', async () => {
    const alice = await person();
    const account = bed.account();
    const bob = await person(account);
    const convoId = await conversationOf([alice, bob]);
    await bed.database.sql`DELETE FROM group_infos`;
    const laptop = await person(account, { sharedTaskWaitMaxMs: 60_000 });
    await eventually(() => laptop.messenger.convoIds()).toEqual([convoId]);
  });
});

describe('a device without the network', () => {
  test('what it could not send is sent once when the network is back', async () => {
    const alice = await person();
    const bob = await behindProxy();
    const convoId = await conversationOf([alice, bob]);
    await proxy.setMode('refuse');
    await expect(bob.say(convoId, 'one')).rejects.toMatchObject({ name: 'NoResponseError' });
    await expect(bob.say(convoId, 'two')).rejects.toMatchObject({ name: 'NoResponseError' });
    await proxy.setMode('pass');
    await eventually(() => textsOf(alice, convoId)).toEqual(['one', 'two']);
    await eventually(() => textsOf(bob, convoId)).toEqual(['one', 'two']);
  });

  test('it opens, knows its conversations, and reads on when the network is back', async () => {
    const alice = await person();
    const account = bed.account();
    const bob = await behindProxy(account);
    const convoId = await conversationOf([alice, bob]);
    await bob.messenger.close();
    await alice.say(convoId, 'while bob was away');
    await proxy.setMode('refuse');
    const again = await behindProxy(account, { storage: bob.storage });
    expect(again.messenger.convoIds()).toEqual([convoId]);
    await proxy.setMode('pass');
    await eventually(() => textsOf(again, convoId)).toEqual(['while bob was away']);
  });

  test('it learns of its removal when the network is back', async () => {
    const alice = await person();
    const bob = await behindProxy();
    const convoId = await conversationOf([alice, bob]);
    await proxy.setMode('refuse');
    await alice.messenger.removeMember(convoId, bob.messenger.did);
    await proxy.setMode('pass');
    await eventually(() => bob.events.filter(({ kind }) => kind === 'removed')).toHaveLength(1);
    expect(bob.messenger.convoIds()).toEqual([]);
  });
});

describe('a device whose stream opens after it has read its conversations', () => {
  test('a new device joins the conversation to which it was added before', async () => {
    const alice = await person();
    const late = lateStream();
    const bob = await person(bed.account(), { fetch: late.fetch });
    const convoId = await alice.messenger.createConversation([bob.messenger.did]);
    late.open();
    await eventually(() => bob.messenger.convoIds()).toEqual([convoId]);
  });

  test('a known device learns of its removal', async () => {
    const account = bed.account();
    const [alice, bob] = [await person(), await person(account)];
    const convoId = await conversationOf([alice, bob]);
    await bob.messenger.close();
    const late = lateStream();
    const again = await person(account, { storage: bob.storage, fetch: late.fetch });
    expect(again.messenger.convoIds()).toEqual([convoId]);
    await alice.messenger.removeMember(convoId, account.did);
    late.open();
    await eventually(() => again.messenger.convoIds()).toEqual([]);
  });
});

describe('a device that was closed', () => {
  test('learns of its removal when it opens', async () => {
    const alice = await person();
    const account = bed.account();
    const bob = await person(account);
    const convoId = await conversationOf([alice, bob]);
    await bob.messenger.close();
    await alice.messenger.removeMember(convoId, bob.messenger.did);
    const again = await person(account, { storage: bob.storage });
    expect(again.messenger.convoIds()).toEqual([]);
    expect(await bob.storage.keys('group/')).toEqual([]);
  });

  test('reads 200 messages and the commits between them in order', { timeout: 60_000 }, async () => {
    const alice = await person();
    const account = bed.account();
    const bob = await person(account);
    const convoId = await conversationOf([alice, bob]);
    await bob.messenger.close();
    const texts = Array.from({ length: 200 }, (_, index) => `message ${index}`);
    for (const [index, text] of texts.entries()) {
      if (index % 40 === 20) await alice.messenger.updateKeys(convoId);
      await alice.say(convoId, text);
    }
    const again = await person(account, { storage: bob.storage });
    expect(textsOf(again, convoId)).toEqual(texts);
  });
});

describe('two devices of one person', () => {
  test('leave together, and are taken out of the group together', async () => {
    const alice = await person();
    const account = bed.account();
    const telephone = await person(account);
    const convoId = await conversationOf([alice, telephone]);
    const laptop = await person(account);
    await eventually(() => laptop.messenger.convoIds()).toEqual([convoId]);
    await telephone.messenger.leave(convoId);
    await eventually(() => laptop.messenger.convoIds()).toEqual([]);
    await eventually(() => alice.messenger.group(convoId)?.members).toEqual([alice.messenger.did]);
  });
});

describe('operations', () => {
  test('end when their time is over or their signal is aborted, and the message is sent later, once', async () => {
    const alice = await person();
    const bob = await behindProxy(undefined, { timeoutMs: 5_000 });
    const convoId = await conversationOf([alice, bob]);
    // The operations of joining are over then.
    await bob.messenger.catchUp(convoId);
    await proxy.setMode('silent');
    const content = new TextEncoder().encode('late');
    const timedOut = bob.messenger.send(convoId, content, { timeoutMs: 200 });
    await expect(timedOut).rejects.toMatchObject({ name: 'TimeoutError' });
    const reason = new Error('the user closed the window');
    const aborted = bob.messenger.updateKeys(convoId, { signal: AbortSignal.abort(reason) });
    await expect(aborted).rejects.toBe(reason);
    await proxy.setMode('pass');
    await eventually(() => textsOf(alice, convoId)).toEqual(['late']);
  });

  test('end with ClosedError when the messenger is closed', async () => {
    const alice = await person();
    const bob = await behindProxy(undefined, { timeoutMs: 20_000 });
    const convoId = await conversationOf([alice, bob]);
    await proxy.setMode('silent');
    const waiting = bob.say(convoId, 'never mind').catch((error: unknown) => error);
    await bob.messenger.close();
    expect(await waiting).toMatchObject({ name: 'ClosedError' });
    await proxy.setMode('pass');
  });
});
