import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { findViolations } from '../support/browser/accessibility.ts';
import { hasChromium } from '../support/browser/chromium.ts';
import { PersonPane, screenshot, startChatBrowser } from './chat-browser.ts';
import type { ChatBrowser } from './chat-browser.ts';

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

describe.skipIf(!hasChromium)('the chat page (Chromium needed)', { timeout: 120_000 }, () => {
  let chat: ChatBrowser;

  beforeAll(async () => {
    chat = await startChatBrowser();
  }, 120_000);
  afterEach(() => chat.closePages());
  afterAll(() => chat.close());

  /** Opens two people whom no other test uses. */
  async function openConversation(options: Parameters<ChatBrowser['open']>[1], names = ['ida', 'jon']) {
    const people = await chat.people(...names);
    const page = await chat.open(`/chat?people=${people.join(',')}`, options);
    const [first, second] = people.map((name) => new PersonPane(page, name)) as [PersonPane, PersonPane];
    return { page, people, first, second };
  }

  test.for([
    ['light', { colorScheme: 'light' }, ['alice', 'bob']],
    ['dark', { colorScheme: 'dark' }, ['dana', 'eli']],
  ] as const)('axe finds no violation: %s', async ([name, options, names]) => {
    const { page, people, first, second } = await openConversation(options, [...names]);
    await Promise.all([first.online(), second.online()]);
    const violations = { empty: await findViolations(page), form: [''], conversation: [''], ended: [''] };
    await first.press('New conversation');
    violations.form = await findViolations(page);
    await first.press('Cancel');
    await first.start(people[1] ?? '');
    await first.say('Is this easy to read?');
    await second.reads('Is this easy to read?');
    const answer = 'Yes. The page is checked by axe in this state too, with a message that needs more than one line.';
    await second.say(answer);
    await first.reads(answer);
    await second.press('Go offline');
    await second.say('This one waits.');
    await second.pane.getByText('Waits until you are online').waitFor();
    await page.getByRole('region', { name: 'Rows of messages' }).getByRole('row').nth(2).waitFor();
    violations.conversation = await findViolations(page);
    await screenshot(page, `conversation-${name}`);
    await second.press('Go online');
    await second.reads('This one waits.');
    await second.press('Leave');
    await second.note('You are not in this conversation any more');
    violations.ended = await findViolations(page);
    expect(violations).toEqual({ empty: [], form: [], conversation: [], ended: [] });
  });

  test.for([
    ['light', ['fay', 'gus']],
    ['dark', ['hal', 'ivy']],
  ] as const)('axe finds no violation on a phone, which shows one pane at a time: %s', async ([colorScheme, names]) => {
    const { page, people, first, second } = await openConversation({ ...phone, colorScheme }, [...names]);
    const choose = (name: string | RegExp): Promise<void> =>
      page.getByRole('navigation', { name: 'Panes' }).getByRole('button', { name }).click();
    await first.online();
    expect(await second.pane.isVisible()).toBe(false);
    await first.start(people[1] ?? '');
    await first.say('Sent from a phone');
    await first.reads('Sent from a phone');
    const violations = [...(await findViolations(page))];
    await choose(new RegExp(`${second.title}.*new`));
    await second.reads('Sent from a phone');
    await second.say('Read on a phone');
    await second.reads('Read on a phone');
    expect(await first.pane.isVisible()).toBe(false);
    violations.push(...(await findViolations(page)));
    await screenshot(page, `phone-${colorScheme}`);
    await choose('Server');
    await page.getByRole('region', { name: 'Rows of messages' }).getByRole('row').nth(2).waitFor();
    violations.push(...(await findViolations(page)));
    await screenshot(page, `phone-server-${colorScheme}`);
    expect(violations).toEqual([]);
    const width = await page.evaluate<number>('document.documentElement.scrollWidth');
    expect(width).toBe(phone.viewport.width);
  });

  test('axe finds a button without a name', async () => {
    const page = await chat.open('/chat?people=alice');
    await new PersonPane(page, 'alice').online();
    await page.evaluate("document.querySelector('main').append(document.createElement('button'))");
    expect(await findViolations(page)).toEqual([expect.stringMatching(/^button-name: /)]);
  });

  test('a conversation needs no mouse', async () => {
    const { page, people, first, second } = await openConversation({});
    await Promise.all([first.online(), second.online()]);
    const { keyboard } = page;
    await tabTo(page, 'New conversation');
    await keyboard.press('Enter');
    // The first box has the focus and is checked.
    await keyboard.press('Space');
    await tabTo(page, second.title);
    await keyboard.press('Space');
    await tabTo(page, 'Start');
    await keyboard.press('Enter');
    await second.note(`You are in a conversation with ${first.title}`);
    await first.note('You are in a conversation');
    await expect.poll(() => focused(page)).toBe(`Message from ${first.title}`);
    await keyboard.type('typed');
    await keyboard.press('Enter');
    await second.reads('typed');
    await tabTo(page, `Message from ${second.title}`);
    await keyboard.type('answered');
    await keyboard.press('Enter');
    await first.reads('answered');
    await tabTo(page, `Remove ${second.title}`);
    await keyboard.press('Enter');
    await second.note('You are not in this conversation any more');
    expect(people).toHaveLength(2);
  });

  test('a message is shown as text, whatever it contains', async () => {
    const { people, first, second } = await openConversation({});
    await Promise.all([first.online(), second.online()]);
    await first.start(people[1] ?? '');
    const text = '<img src=x onerror=alert(1)><b>bold</b> & 👩‍🚀 ‮right';
    await first.say(text);
    await second.reads(text);
    expect(await second.pane.locator('img, b').count()).toBe(0);
  });

  test('a second tab with the same person says what to do', async () => {
    const page = await chat.open('/chat?people=alice');
    await new PersonPane(page, 'alice').online();
    const other = await page.context().newPage();
    await other.goto(`${chat.url}/chat?people=alice`);
    await other.getByText('Alice is open in another tab. Close that tab, then reload this page.').waitFor();
  });

  test('storage in IndexedDB keeps what was written, and makes all changes of a write or none', async () => {
    const page = await chat.open('/chat/service.json');
    const path = join(import.meta.dirname, '../../packages/client/src/storage/indexed-db-storage.ts');
    const script = stripTypeScriptTypes(await readFile(path, 'utf8'));
    await page.route('**/storage.js', (route) => route.fulfill({ contentType: 'text/javascript', body: script }));
    await page.route('**/storage.html', (route) =>
      route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }),
    );
    await page.goto(`${chat.url}/storage.html`);
    expect(await page.evaluate(checkStorage)).toEqual({
      absent: true,
      read: [1, 2],
      keys: ['a/1', 'a/2'],
      afterRefusal: { kept: [1, 2], added: true },
      afterReopening: { kept: [3], deleted: true, large: 1_000_000 },
    });
  });

  test('a page of another origin gets no token', async () => {
    const other = createServer((_request, response) => response.end('<!doctype html>')).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const page = await chat.open('/chat?people=alice');
    const token = `${chat.url}/dev/token?as=alice&lxm=blue.catbird.mls.getConvos`;
    const get = (options: string): Promise<unknown> =>
      page.evaluate(`fetch('${token}', ${options}).then(({ type, status }) => [type, status], () => 'refused')`);
    expect(await get('{}')).toEqual(['basic', 200]);
    await page.goto(`http://127.0.0.1:${(other.address() as AddressInfo).port}/`);
    const problems = chat.problems.length;
    expect(await get('{}')).toBe('refused');
    expect(chat.problems.splice(problems)).toEqual([expect.stringContaining('has been blocked by CORS policy')]);
    expect(await get("{ mode: 'no-cors' }")).toBe('refused');
    other.closeAllConnections();
    other.close();
  });

  test('no script failed, and nothing broke the content security policy', () => {
    expect(chat.problems).toEqual([]);
  });

  test('the content security policy refuses inline scripts, evaluation, HTML from text, and connections to other hosts', async () => {
    const page = await chat.open('/chat?people=alice');
    await new PersonPane(page, 'alice').online();
    const attempts = [
      "document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }))",
      "setTimeout('window.ran = 1')",
      "document.body.innerHTML = '<p>text</p>'",
      "fetch('http://127.0.0.2:9/').catch(() => undefined)",
    ];
    for (const attempt of attempts) {
      await page.evaluate(`try { ${attempt} } catch {}`);
      const violation = expect.stringMatching(/Content Security Policy|TrustedHTML|TrustedScript/);
      await expect.poll(() => chat.problems, { message: attempt }).toContainEqual(violation);
      chat.problems.splice(0);
    }
    expect(await page.evaluate('window.ran')).toBeUndefined();
  });
});

/** Presses Tab until the element with this name has the focus. */
async function tabTo(page: Page, name: string): Promise<void> {
  for (let presses = 0; presses < 80; presses += 1) {
    if ((await focused(page)) === name) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`the keyboard does not reach "${name}"`);
}

/** The name of the element that has the focus. */
function focused(page: Page): Promise<string> {
  return page.evaluate<string>(`(() => {
    const active = document.activeElement;
    const label = active.getAttribute('aria-label') ?? active.labels?.[0]?.textContent;
    return (label ?? active.textContent).trim();
  })()`);
}

/** Runs in the page. */
const checkStorage = `(async () => {
  const { openIndexedDbStorage } = await import('/storage.js');
  const first = await openIndexedDbStorage('contract');
  const absent = (await first.read('a/1')) === undefined;
  const bytes = (...values) => Uint8Array.from(values);
  await first.write([
    { key: 'a/1', value: bytes(1, 2) },
    { key: 'a/2', value: bytes(2) },
    { key: 'b/1', value: bytes(3) },
  ]);
  const read = [...(await first.read('a/1'))];
  const keys = (await first.keys('a/')).sort();
  const unusable = bytes(4);
  structuredClone(unusable, { transfer: [unusable.buffer] });
  await first.write([{ key: 'a/1', value: undefined }, { key: 'c/1', value: unusable }]).catch(() => undefined);
  const afterRefusal = { kept: [...((await first.read('a/1')) ?? [])], added: (await first.read('c/1')) === undefined };
  await first.write([{ key: 'a/1', value: undefined }, { key: 'a/3', value: new Uint8Array(1_000_000) }]);
  first.close();
  const second = await openIndexedDbStorage('contract');
  const afterReopening = {
    kept: [...(await second.read('b/1'))],
    deleted: (await second.read('a/1')) === undefined,
    large: (await second.read('a/3')).length,
  };
  return { absent, read, keys, afterRefusal, afterReopening };
})()`;
