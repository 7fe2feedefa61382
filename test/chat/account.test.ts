import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { hasChatPage } from '#ops/chat-page.ts';
import { accountClientId } from '../../packages/chat/src/sign-in/client-id.ts';
import { startTestBed } from '../support/test-server.ts';
import { findViolations } from '../support/browser/accessibility.ts';
import { pds, playAccountServers } from './account-servers.ts';
import type { DevelopmentPerson } from './account-servers.ts';
import { hasChromium } from '../support/browser/chromium.ts';
import { PersonPane, screenshot, startChatBrowser } from './chat-browser.ts';
import type { ChatBrowser } from './chat-browser.ts';

describe.skipIf(!hasChromium)('signing in with an account (Chromium needed)', { timeout: 120_000 }, () => {
  let chat: ChatBrowser;

  beforeAll(async () => {
    chat = await startChatBrowser();
  }, 120_000);
  afterEach(() => chat.closePages());
  afterAll(() => chat.close());

  test.for(['light', 'dark'] as const)('axe finds no violation before the sign-in: %s', async (colorScheme) => {
    const page = await chat.open('/chat/account', { colorScheme });
    await page.getByLabel('Handle, DID, or address of your PDS').waitFor();
    expect(await findViolations(page)).toEqual([]);
    await screenshot(page, `sign-in-${colorScheme}`);
  });

  test('the page pushes an authorization request for this service, and leaves for the authorization server', async () => {
    const page = await chat.open('/chat/account');
    const { pushed, authorized } = await playAccountServers(page);
    await signIn(page, pds);
    await page.getByText('the page of the authorization server').waitFor();
    const clientId = accountClientId(new URL(chat.url));
    const port = new URL(chat.url).port;
    expect(Object.fromEntries(pushed[0] ?? [])).toMatchObject({
      client_id: clientId,
      redirect_uri: `http://127.0.0.1:${port}/chat/account`,
      response_type: 'code',
      response_mode: 'fragment',
      scope: 'atproto transition:generic',
      code_challenge_method: 'S256',
    });
    expect(authorized[0]?.searchParams.get('request_uri')).toBe('urn:ietf:params:oauth:request_uri:req-1');
    expect(authorized[0]?.searchParams.get('client_id')).toBe(clientId);
    expect(chat.problems).toEqual([]);
  });

  test('two people who sign in by OAuth exchange messages, stay signed in, and sign out', async () => {
    const { people } = (await (await fetch(`${chat.url}/dev/people`)).json()) as { people: DevelopmentPerson[] };
    const [alice, bob] = people as [DevelopmentPerson, DevelopmentPerson];
    const [first, second] = [await chat.open('/chat/account'), await chat.open('/chat/account')];
    const calls = await playAccountServers(first, { account: alice, all: people, url: chat.url });
    await playAccountServers(second, { account: bob, all: people, url: chat.url });
    await signIn(first, pds);
    await signIn(second, bob.did);
    const [own, other] = [
      new PersonPane(first, 'alice.test', 'alice.test'),
      new PersonPane(second, 'bob.test', 'bob.test'),
    ];
    await Promise.all([own.online(), other.online()]);
    await own.press('New conversation');
    await own.pane.getByLabel('Handles or DIDs, separated by spaces').fill('@bob.test');
    await own.press('Start');
    await own.say('Hello from my own account');
    await other.reads('Hello from my own account');
    await other.say('Hello back');
    await own.reads('Hello back');
    await first.reload();
    await own.online();
    await own.reads('Hello back');
    expect(await findViolations(first)).toEqual([]);
    await screenshot(first, 'account');
    // The PDS gave every token for the DID of the service and for one method.
    const audiences = new Set(calls.tokens.map(({ aud }) => aud));
    expect([...audiences]).toEqual([chat.bed.server().serviceDid]);
    expect(calls.tokens.every(({ lxm }) => lxm?.startsWith('blue.catbird.mls.'))).toBe(true);
    await first.getByRole('button', { name: 'Sign out' }).click();
    await first.getByRole('button', { name: 'Sign in' }).waitFor();
    expect(chat.problems).toEqual([]);
  });

  test('a sign-in that cannot start says what to do', async () => {
    const page = await chat.open('/chat/account');
    await page.route(`${pds}/**`, (route) => route.abort());
    await signIn(page, pds);
    await page.getByRole('alert').getByText('Check the handle, or type the address of your PDS.').waitFor();
    chat.problems.splice(0);
  });
});

/** Types the account, and leaves the page. */
async function signIn(page: Page, account: string): Promise<void> {
  await page.getByLabel('Handle, DID, or address of your PDS').fill(account);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

describe('where the chat page is served', () => {
  test('it is off in production, unless CHAT_PAGE is true', () => {
    expect(hasChatPage({ NODE_ENV: 'production', CHAT_PAGE: undefined })).toBe(false);
    expect(hasChatPage({ NODE_ENV: 'production', CHAT_PAGE: true })).toBe(true);
    expect(hasChatPage({ NODE_ENV: 'development', CHAT_PAGE: undefined })).toBe(true);
    expect(hasChatPage({ NODE_ENV: 'development', CHAT_PAGE: false })).toBe(false);
  });

  test('a server without it has none of its paths', async () => {
    const bed = await startTestBed();
    const paths = ['/chat', '/chat/account', '/chat/service.json', '/chat/client-metadata.json', '/chat/assets/a.js'];
    const statuses = await Promise.all(paths.map(async (path) => (await fetch(`${bed.server().url}${path}`)).status));
    await bed.stop();
    expect(statuses).toEqual(paths.map(() => 404));
  });

  test('a public server describes the page to authorization servers', async () => {
    const url = 'https://mls.nightjar.test';
    const bed = await startTestBed({ env: { CHAT_PAGE: 'true', PUBLIC_URL: url } });
    const local = `http://127.0.0.1:${bed.server().port}`;
    const metadata = (await (await fetch(`${local}/chat/client-metadata.json`)).json()) as Record<string, unknown>;
    const service = await (await fetch(`${local}/chat/service.json`)).json();
    await bed.stop();
    expect(metadata).toMatchObject({
      client_id: accountClientId(new URL(url)),
      redirect_uris: [`${url}/chat/account`],
      scope: 'atproto transition:generic',
      token_endpoint_auth_method: 'none',
      dpop_bound_access_tokens: true,
    });
    expect(service).toEqual({ serviceDid: 'did:web:nightjar.test' });
  });
});
