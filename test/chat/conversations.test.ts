import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { hasChromium } from '../support/browser/chromium.ts';
import { PersonPane, screenshot, startChatBrowser, titleOf } from './chat-browser.ts';
import type { ChatBrowser } from './chat-browser.ts';

describe.skipIf(!hasChromium)('conversations on the chat page (Chromium needed)', { timeout: 120_000 }, () => {
  let chat: ChatBrowser;

  beforeAll(async () => {
    chat = await startChatBrowser();
  }, 120_000);
  afterEach(() => chat.closePages());
  afterAll(() => chat.close());

  /** Opens people side by side, the first of whom starts a conversation with the second. */
  async function sideBySide(...names: string[]) {
    const people = await chat.people(...names);
    const page = await chat.open(`/chat?people=${people.join(',')}`);
    const panes = people.map((name) => new PersonPane(page, name));
    for (const pane of panes) await pane.online();
    const [first, second] = panes as [PersonPane, PersonPane];
    await first.start(people[1] ?? '');
    await second.note(`You are in a conversation with ${first.title}`);
    return { page, people, panes, first, second };
  }

  /** Loads the page, and returns after how long a message of each of two people has reached the other. */
  async function timeToExchangeMs(): Promise<number> {
    const people = await chat.people('ava', 'bruno');
    const startedMs = performance.now();
    const page = await chat.open(`/chat?people=${people.join(',')}`);
    const [alice, bob] = people.map((name) => new PersonPane(page, name)) as [PersonPane, PersonPane];
    await alice.online();
    await alice.press('Start a conversation');
    await alice.choose(people.slice(1));
    await alice.press('Start');
    await alice.say('Hello Bob');
    await bob.reads('Hello Bob');
    await bob.say('Hello Alice');
    await alice.reads('Hello Alice');
    return performance.now() - startedMs;
  }

  test('two people exchange messages within five seconds of loading the page', async () => {
    let shortestMs = Infinity;
    // Other tests run at the same time, so that one attempt may be slow.
    for (let attempt = 0; attempt < 3 && shortestMs > 5_000; attempt += 1) {
      shortestMs = Math.min(shortestMs, await timeToExchangeMs());
    }
    expect(shortestMs).toBeLessThan(5_000);
  });

  test('the page opens Alice and Bob, and shows what the server stores of their conversation', async () => {
    const page = await chat.open('/chat');
    const [alice, bob] = [new PersonPane(page, 'alice'), new PersonPane(page, 'bob')];
    await Promise.all([alice.online(), bob.online()]);
    await alice.start('bob');
    await alice.say('Hi Bob! Only this browser can read this.');
    await bob.reads('Hi Bob! Only this browser can read this.');
    await bob.say('Hi Alice. The pane on the right shows what the server has of it.');
    await alice.reads('Hi Alice. The pane on the right shows what the server has of it.');
    const stored = page.getByRole('region', { name: 'What the server stores' });
    await stored.getByRole('region', { name: 'Rows of messages' }).getByRole('row').nth(2).waitFor();
    const text = await stored.innerText();
    expect(text).not.toContain('Hi ');
    expect(text).not.toContain('did:plc:');
    await screenshot(page, 'side-by-side');
  });

  test('two people on two machines exchange messages', async () => {
    const [anna = '', ben = ''] = await chat.people('anna', 'ben');
    const pages = [await chat.open(`/chat?people=${anna}`), await chat.open(`/chat?people=${ben}`)] as const;
    const [first, second] = [new PersonPane(pages[0], anna), new PersonPane(pages[1], ben)];
    await Promise.all([first.online(), second.online()]);
    await first.start(ben);
    await first.say('from one browser');
    await second.reads('from one browser');
    await second.say('to the other');
    await first.reads('to the other');
    expect(await second.texts()).toEqual(['from one browser', 'to the other']);
    expect(await second.pane.locator('.message .meta').allTextContents()).toEqual([
      expect.stringMatching(new RegExp(`^${first.title} #1 `)),
      expect.stringMatching(/^You #2 /),
    ]);
  });

  test('a person who was offline gets what was sent, and sends what they wrote', async () => {
    const { first, second } = await sideBySide('ann', 'bo');
    await second.press('Go offline');
    await second.state('Offline');
    await first.say('one');
    await first.say('two');
    await first.reads('two');
    await second.say('three');
    await second.pane.getByText('Waits until you are online').waitFor();
    expect(await second.texts()).toEqual([]);
    await second.press('Go online');
    await second.reads('two');
    await first.reads('three');
    await second.reads('three');
    expect(await first.texts()).toEqual(['one', 'two', 'three']);
    expect(await second.texts()).toEqual(['one', 'two', 'three']);
    expect(await second.pane.getByText('Waits until you are online').count()).toBe(0);
  });

  test('a message whose response was lost, and one that was on its way when the person went offline, arrive once', async () => {
    const { page, first, second } = await sideBySide('abby', 'burt');
    const handled: string[] = [];
    await page.route(/\/xrpc\/[a-z.]+sendMessage$/, async (route) => {
      const action = ['response lost', 'continued', 'request lost'][handled.length] ?? 'continued';
      handled.push(action);
      if (action === 'response lost') {
        const sent = route.request();
        const { authorization = '' } = await sent.allHeaders();
        const headers = { authorization, 'content-type': 'application/json' };
        await fetch(sent.url(), { method: 'POST', headers, body: sent.postData() });
        await route.abort();
      }
      // A lost request gets no response, and no error.
      if (action === 'continued') await route.continue();
    });
    await first.say('response lost');
    await second.reads('response lost');
    await first.reads('response lost');
    await first.say('request lost');
    await expect.poll(() => handled, { timeout: 30_000 }).toHaveLength(3);
    await first.press('Go offline');
    await first.state('Offline');
    await second.say('meanwhile');
    await second.reads('meanwhile');
    await first.press('Go online');
    await first.online();
    await second.reads('request lost');
    await first.say('last');
    await second.reads('last');
    await first.reads('last');
    const texts = ['response lost', 'meanwhile', 'request lost', 'last'];
    expect(await second.texts()).toEqual(texts);
    expect(await first.texts()).toEqual(texts);
    expect(await first.pane.locator('.unsent li').count()).toBe(0);
  });

  test('a third person joins, reads what is sent from then on, and is removed', async () => {
    const { page, people, first, second, panes } = await sideBySide('amy', 'bill', 'cleo');
    const [, , third] = panes as [PersonPane, PersonPane, PersonPane];
    await first.say('before Cleo');
    await first.add(people[2] ?? '');
    await second.say('with Cleo');
    await third.reads('with Cleo');
    expect(await third.texts()).toEqual(['with Cleo']);
    await screenshot(page, 'three-people');
    await first.press(`Remove ${third.title}`);
    await third.note('You are not in this conversation any more');
    await second.note(`${third.title} is not a member any more`);
    await first.say('after Cleo');
    await second.reads('after Cleo');
    expect(await third.texts()).toEqual(['with Cleo']);
    expect(await third.pane.getByLabel(`Message from ${third.title}`).isVisible()).toBe(false);
    await third.press('Delete from this browser');
    await third.pane.getByText('No conversation yet.').waitFor();
  });

  test('a person who leaves is removed from the group by a member', async () => {
    const { first, second } = await sideBySide('ada', 'bert');
    await second.press('Leave');
    await second.note('You are not in this conversation any more');
    await first.note(`${second.title} is not a member any more. Epoch 2.`);
  });

  test('two conversations at once stay apart', async () => {
    const { people, first, second, panes } = await sideBySide('abe', 'bea', 'cy');
    const [, , third] = panes as [PersonPane, PersonPane, PersonPane];
    await first.say('only for the second');
    await second.reads('only for the second');
    await first.start(people[2] ?? '');
    await first.say('only for the third');
    await third.reads('only for the third');
    expect(await first.texts()).toEqual(['only for the third']);
    await second.say('an answer');
    await first.pane.getByRole('button', { name: `${second.title} 1 new` }).click();
    expect(await first.texts()).toEqual(['only for the second', 'an answer']);
    expect(await third.texts()).toEqual(['only for the third']);
  });

  test('a backlog of 200 messages arrives in order', async () => {
    const { first, second } = await sideBySide('al', 'bev');
    await second.press('Go offline');
    const sent = Array.from({ length: 200 }, (_, index) => `message ${index + 1}`);
    await first.sayAll(sent);
    await first.reads('message 200');
    await second.press('Go online');
    await second.reads('message 200');
    expect(await first.texts()).toEqual(sent);
    expect(await second.texts()).toEqual(sent);
  });

  test('a page that is loaded again has its conversations, and goes on', async () => {
    const { page, people, first, second } = await sideBySide('arlo', 'bess');
    await first.say('before the reload');
    await second.reads('before the reload');
    await second.press('Go offline');
    await second.say('written offline');
    await second.pane.getByText('Waits until you are online').waitFor();
    await page.reload();
    await Promise.all([first.online(), second.online()]);
    await second.reads('before the reload');
    await first.reads('written offline');
    await first.say('after the reload');
    await second.reads('after the reload');
    expect(await second.texts()).toEqual(['before the reload', 'written offline', 'after the reload']);
    // The same device, not a new one of the same person.
    const note = `You are in a conversation with ${titleOf(people[0] ?? '')}. Epoch 1.`;
    expect(await second.pane.locator('.note').allTextContents()).toEqual([note]);
  });

  test('a device that the server does not know any more registers again, and reads on', async () => {
    const { people, first, second } = await sideBySide('art', 'bix');
    const token = async (method: string): Promise<string> => {
      const response = await fetch(`${chat.url}/dev/token?as=${people[0]}&lxm=blue.catbird.mls.${method}`);
      return `Bearer ${((await response.json()) as { token: string }).token}`;
    };
    const xrpc = `${chat.url}/xrpc/blue.catbird.mls`;
    const listed = await fetch(`${xrpc}.listDevices`, { headers: { authorization: await token('listDevices') } });
    const { devices } = (await listed.json()) as { devices: { deviceId: string }[] };
    await first.press('Go offline');
    await fetch(`${xrpc}.deleteDevice`, {
      method: 'POST',
      headers: { authorization: await token('deleteDevice'), 'content-type': 'application/json' },
      body: JSON.stringify({ deviceId: devices[0]?.deviceId }),
    });
    await first.press('Go online');
    await first.online();
    await second.say('to the device that is back');
    await first.reads('to the device that is back');
  });

  test('a device whose stored data is damaged says so, and can start over', async () => {
    const { page, people, first, second } = await sideBySide('ash', 'beau');
    await first.press('Go offline');
    await first.state('Offline');
    await page.evaluate(damageDevice(await didOf(chat.url, people[0] ?? '')));
    await first.press('Go online');
    await first.state('Not connected');
    await first.press('Start over on this device');
    await first.online();
    await second.online();
    await first.note(`You are in a conversation with ${second.title}`);
    await second.say('to the new device');
    await first.reads('to the new device');
  });

  test('no script failed, and nothing broke the content security policy', () => {
    expect(chat.problems).toEqual([]);
  });
});

async function didOf(url: string, name: string): Promise<string> {
  const response = await fetch(`${url}/dev/people`);
  const { people } = (await response.json()) as { people: { name: string; did: string }[] };
  return people.find((person) => person.name === name)?.did ?? '';
}

/** A script for the page that overwrites the stored device of `did` with bytes that are no record. */
const damageDevice = (did: string): string => `(async () => {
  const found = (await indexedDB.databases()).find(({ name }) => name.endsWith('/${did}'));
  const opening = indexedDB.open(found.name);
  await new Promise((resolve) => opening.addEventListener('success', resolve));
  const transaction = opening.result.transaction('values', 'readwrite');
  transaction.objectStore('values').put(new Uint8Array([255]), 'device');
  await new Promise((resolve) => transaction.addEventListener('complete', resolve));
  opening.result.close();
})()`;
