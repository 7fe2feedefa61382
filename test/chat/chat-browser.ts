import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrowserContextOptions, Locator, Page } from 'playwright-core';
import { startChromium } from '../support/browser/chromium.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';

/** No test waits this long, unless the machine is busy with other tests. */
const patienceMs = 60_000;

/** A server with the chat page and development people, and a browser. */
export interface ChatBrowser {
  readonly url: string;
  readonly bed: TestBed;
  /** What the pages have reported: errors of scripts, and violations of the content security policy. */
  readonly problems: string[];
  /** Opens a page in a browser context of its own, as another machine would. */
  open(path: string, options?: BrowserContextOptions): Promise<Page>;
  /** Makes people whom no other test uses. @returns their names, of which the page shows the first letter as a capital. */
  people(...names: string[]): Promise<string[]>;
  /** Closes all pages, so that their people do not take part in the next test. */
  closePages(): Promise<void>;
  close(): Promise<void>;
}

export async function startChatBrowser(env: Readonly<Record<string, string>> = {}): Promise<ChatBrowser> {
  const dataDir = await mkdtemp(join(tmpdir(), 'nightjar-chat-'));
  const bed = await startTestBed({
    env: { CHAT_PAGE: 'true', DEVELOPMENT_IDENTITIES: 'true', DATA_DIR: dataDir, ...env },
  });
  const browser = await startChromium();
  const url = `http://127.0.0.1:${bed.server().port}`;
  // The first request waits for the build of the page.
  await fetch(`${url}/chat`);
  const problems: string[] = [];
  const used = new Set<string>();
  return {
    url,
    bed,
    problems,
    async open(path, options = {}) {
      const context = await browser.newContext({
        viewport: { width: 1440, height: 900 },
        // axe reads colours, which are not final while a message appears.
        reducedMotion: 'reduce',
        ...options,
      });
      context.setDefaultTimeout(patienceMs);
      const page = await context.newPage();
      page.on('pageerror', ({ message }) => problems.push(message));
      page.on('console', (message) => {
        const text = message.text();
        if (message.type() === 'error' && !text.startsWith('Failed to load resource')) problems.push(text);
      });
      await page.goto(`${url}${path}`);
      return page;
    },
    async people(...names) {
      const made = names.map((name) => (used.has(name) ? `${name}${used.size}` : name));
      for (const name of made) used.add(name);
      for (const name of made) await fetch(`${url}/dev/people?name=${name}`, { method: 'POST' });
      return made;
    },
    async closePages() {
      await Promise.all(browser.contexts().map((context) => context.close()));
    },
    async close() {
      await browser.close();
      await bed.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** The field in which a person writes; the tests are compiled without the types of browsers. */
interface MessageInput {
  value: string;
  readonly form: { requestSubmit(): void };
}

/** The pane of one person. */
export class PersonPane {
  readonly title: string;
  readonly pane: Locator;

  constructor(page: Page, name: string, title = titleOf(name)) {
    this.title = title;
    this.pane = page.getByRole('region', { name: this.title, exact: true });
  }

  async online(): Promise<this> {
    await this.state('Online');
    return this;
  }

  async state(text: string): Promise<void> {
    try {
      await this.pane.getByRole('status').getByText(text, { exact: true }).waitFor();
    } catch (error) {
      throw new Error(`${this.title} is not "${text}": ${await this.pane.innerText()}`, { cause: error });
    }
  }

  async press(name: string): Promise<void> {
    await this.pane.getByRole('button', { name, exact: true }).click();
  }

  async start(...names: string[]): Promise<void> {
    await this.press('New conversation');
    await this.choose(names);
    await this.press('Start');
    await this.pane.getByRole('button', { name: 'Start', exact: true }).waitFor({ state: 'hidden' });
  }

  async add(name: string): Promise<void> {
    await this.press('Add person');
    await this.choose([name]);
    await this.press('Add');
    await this.note(`${titleOf(name)} joined`);
  }

  async say(text: string): Promise<void> {
    const input = this.pane.getByLabel(`Message from ${this.title}`);
    await input.fill(text);
    await input.press('Enter');
  }

  /** Waits for a message. */
  async reads(text: string): Promise<void> {
    await this.pane.locator('.message[data-seq] .text').getByText(text, { exact: true }).waitFor();
  }

  /** Waits for a line that the page itself has written. */
  async note(text: string): Promise<void> {
    await this.pane.locator('.note').getByText(text).last().waitFor();
  }

  /** Texts of the messages that the server has, in the order of the page. */
  texts(): Promise<string[]> {
    return this.pane.locator('.message[data-seq] .text').allTextContents();
  }

  /** Sends messages as fast as the page takes them. */
  async sayAll(texts: readonly string[]): Promise<void> {
    await this.pane.getByLabel(`Message from ${this.title}`).evaluate((element: unknown, all) => {
      const input = element as MessageInput;
      for (const text of all) {
        input.value = text;
        input.form.requestSubmit();
      }
    }, texts);
  }

  /** Chooses these people in the form that is open. */
  async choose(names: readonly string[]): Promise<void> {
    const form = this.pane.locator('form:visible').first();
    for (const box of await form.getByRole('checkbox').all()) await box.uncheck();
    for (const name of names) await form.getByRole('checkbox', { name: titleOf(name), exact: true }).check();
  }
}

export function titleOf(name: string): string {
  return name.slice(0, 1).toUpperCase() + name.slice(1);
}

/** Writes a screenshot to the folder that CHAT_SCREENSHOTS names, if any. */
export async function screenshot(page: Page, name: string): Promise<void> {
  const folder = process.env['CHAT_SCREENSHOTS'];
  if (folder === undefined) return;
  await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled' });
}
