import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { securityHeaders } from '#edge/security-headers.ts';
import { version } from '#platform/process/version.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';

const ofBrowser = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8';
let bed: TestBed;

beforeAll(async () => {
  bed = await startTestBed({ env: { RATE_LIMIT_IP_PER_MINUTE: '1', RATE_LIMIT_IP_BURST: '1' } });
});
afterAll(() => bed.stop());

const get = (headers: Record<string, string> = {}, method = 'GET'): Promise<Response> =>
  fetch(`${bed.server().url}/`, { method, headers });

test('a browser gets a page with the name, the version and the pages of the API', async () => {
  const response = await get({ accept: ofBrowser });
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/html; charset=UTF-8']);
  const page = await response.text();
  expect(page).toContain(`<h1>Nightjar ${version}</h1>`);
  expect(page).toContain('<a href="/docs/api">');
  expect(page).toContain('<a href="/xrpc/_health">');
});

test('the policy of the page allows its own style by hash, and no other resource', async () => {
  const response = await get({ accept: ofBrowser });
  const [, style = ''] = /<style>([^<]+)<\/style>/.exec(await response.text()) ?? [];
  const hash = createHash('sha256').update(style).digest('base64');
  expect(response.headers.get('content-security-policy')).toBe(
    `default-src 'none'; style-src 'sha256-${hash}'; frame-ancestors 'none'`,
  );
});

test.each([['*/*'], ['application/json'], ['text/html;q=0, */*'], ['text/*;q=0.1, application/json']])(
  'a client that accepts %s gets the same facts as JSON',
  async (accept) => {
    const response = await get({ accept });
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json']);
    expect(await response.json()).toEqual({
      name: 'Nightjar',
      version,
      about: expect.stringContaining('RFC 9420'),
      docs: '/docs',
      api: '/docs/api',
      openapi: '/openapi.json',
      lexicons: '/lexicons',
      health: '/xrpc/_health',
    });
  },
);

test('a server with the chat page names it, and one without it does not', async () => {
  const withChat = await startTestBed({ env: { CHAT_PAGE: 'true' } });
  const facts = await (await fetch(withChat.server().url)).json();
  const page = await fetch(withChat.server().url, { headers: { accept: ofBrowser } });
  expect(facts).toMatchObject({ chat: '/chat' });
  expect(await page.text()).toContain('<a href="/chat">');
  expect(await (await get({ accept: ofBrowser })).text()).not.toContain('/chat');
  await withChat.stop();
});

test('the paths that it names exist', async () => {
  const {
    name: _name,
    version: _version,
    about: _about,
    ...paths
  } = (await (await get()).json()) as Record<string, string>;
  for (const path of Object.values(paths)) {
    expect((await fetch(`${bed.server().url}${path}`)).status, path).toBe(200);
  }
});

test('HEAD gets the status and the headers without a body', async () => {
  for (const accept of [ofBrowser, 'application/json']) {
    const [head, full] = [await get({ accept }, 'HEAD'), await get({ accept })];
    expect(head.status).toBe(200);
    expect(head.headers.get('content-type')).toBe(full.headers.get('content-type'));
    expect(head.headers.get('content-length')).toBe(full.headers.get('content-length'));
    expect(await head.text()).toBe('');
    await full.text();
  }
});

test('both forms have the security headers, and neither names the service, the host or the software below', async () => {
  const expected = Object.entries(securityHeaders).filter(([name]) => name !== 'Content-Security-Policy');
  for (const accept of [ofBrowser, '*/*']) {
    const response = await get({ accept });
    for (const [name, value] of expected) expect(response.headers.get(name), name).toBe(value);
    const told = `${JSON.stringify([...response.headers])}${await response.text()}`;
    expect(told).not.toMatch(/did:|postgres|node|hono|localhost|127\.0\.0\.1/i);
  }
});

test('it costs no quota of the address or of an account, and the rules of the edge hold', async () => {
  for (let nth = 0; nth < 20; nth++) expect((await get()).status).toBe(200);
  const called = (): Promise<Response> => fetch(`${bed.server().url}/xrpc/blue.catbird.mls.getConvos`);
  expect([(await called()).status, (await called()).status]).toEqual([401, 429]);
  const refused = await get({ 'x-long': 'a'.repeat(10_000) });
  expect(refused.status).toBe(431);
});
