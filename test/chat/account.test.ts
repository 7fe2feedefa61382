import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Page, Route } from 'playwright-core';
import { hasChatPage } from '#ops/chat-page.ts';
import { accountClientId } from '../../packages/chat/src/sign-in/client-id.ts';
import { startTestBed } from '../support/test-server.ts';
import { findViolations } from './accessibility.ts';
import { hasChromium, screenshot, startChatBrowser } from './chat-browser.ts';
import type { ChatBrowser } from './chat-browser.ts';

const pds = 'https://pds.test';
const server = 'https://authorization.test';

/** Plays the PDS and the authorization server up to the page on which a person would type the password. */
async function answerSignIn(page: Page): Promise<{ pushed: URLSearchParams[]; authorized: URL[] }> {
  const pushed: URLSearchParams[] = [];
  const authorized: URL[] = [];
  const json = (route: Route, body: object, status = 200): Promise<void> =>
    route.fulfill({
      status,
      json: body,
      headers: { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*' },
    });
  await page.route(`${pds}/.well-known/oauth-protected-resource`, (route) =>
    json(route, { resource: pds, authorization_servers: [server] }),
  );
  await page.route(`${server}/.well-known/oauth-authorization-server`, (route) =>
    json(route, {
      issuer: server,
      authorization_endpoint: `${server}/oauth/authorize`,
      token_endpoint: `${server}/oauth/token`,
      pushed_authorization_request_endpoint: `${server}/oauth/par`,
      require_pushed_authorization_requests: true,
      scopes_supported: ['atproto', 'transition:generic'],
      response_types_supported: ['code'],
      response_modes_supported: ['query', 'fragment'],
      grant_types_supported: ['authorization_code', 'refresh_token'],
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
      token_endpoint_auth_signing_alg_values_supported: ['ES256'],
      dpop_signing_alg_values_supported: ['ES256'],
      authorization_response_iss_parameter_supported: true,
      client_id_metadata_document_supported: true,
    }),
  );
  await page.route(`${server}/oauth/par`, (route) => {
    if (route.request().method() === 'OPTIONS') return json(route, {});
    pushed.push(new URLSearchParams(route.request().postData() ?? ''));
    return json(route, { request_uri: 'urn:ietf:params:oauth:request_uri:req-1', expires_in: 300 }, 201);
  });
  await page.route(`${server}/oauth/authorize?*`, (route) => {
    authorized.push(new URL(route.request().url()));
    return route.fulfill({ contentType: 'text/html', body: 'the page of the authorization server' });
  });
  return { pushed, authorized };
}

describe.skipIf(!hasChromium)('signing in with an account (Chromium needed)', { timeout: 120_000 }, () => {
  let chat: ChatBrowser;

  beforeAll(async () => {
    chat = await startChatBrowser();
    await fetch(`${chat.url}/chat`);
  }, 120_000);
  afterAll(() => chat.close());

  test.for(['light', 'dark'] as const)('axe finds no violation before the sign-in: %s', async (colorScheme) => {
    const page = await chat.open('/chat/account', { colorScheme });
    await page.getByLabel('Handle, DID, or address of your PDS').waitFor();
    expect(await findViolations(page)).toEqual([]);
    await screenshot(page, `sign-in-${colorScheme}`);
  });

  test('the page pushes an authorization request for this service, and leaves for the authorization server', async () => {
    const page = await chat.open('/chat/account');
    const { pushed, authorized } = await answerSignIn(page);
    await page.getByLabel('Handle, DID, or address of your PDS').fill(pds);
    await page.getByRole('button', { name: 'Sign in' }).click();
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

  test('a sign-in that cannot start says what to do', async () => {
    const page = await chat.open('/chat/account');
    await page.route(`${pds}/**`, (route) => route.abort());
    await page.getByLabel('Handle, DID, or address of your PDS').fill(pds);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').getByText('Check the handle, or type the address of your PDS.').waitFor();
    chat.problems.splice(0);
  });
});

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
