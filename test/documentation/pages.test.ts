import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { dirname, join, posix } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { projectRoot, readTree } from '../conventions/source-tree.ts';

const policy =
  "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
let bed: TestBed;

beforeAll(async () => {
  bed = await startTestBed({ env: { CORS_ALLOW_ORIGINS: 'https://app.example.com' } });
});
afterAll(() => bed.stop());

const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${bed.server().url}${path}`, { headers });

const pagePaths = readTree()
  .map(({ path }) => path)
  .filter((path) => path === 'README.md' || /^docs\/.*[.]md$/.test(path));

/** The address of a page of the repository. */
const addressOf = (path: string): string =>
  path === 'README.md' ? '/docs' : `/${path.replace(/[.]md$/, '').replace(/(?<=docs\/.+)\/README$/, '')}`;

/** The targets of the links, images and style sheets in a page. */
const targetsIn = (page: string): string[] =>
  [...page.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, target]) => target ?? '');

describe('the pages', { timeout: 120_000 }, () => {
  test('every Markdown file of docs has a page with its heading, and no script', async () => {
    expect(pagePaths.length).toBeGreaterThan(100);
    for (const path of pagePaths) {
      const response = await get(addressOf(path));
      expect([path, response.status, response.headers.get('content-type')]).toEqual([
        path,
        200,
        'text/html; charset=UTF-8',
      ]);
      expect(response.headers.get('content-security-policy')).toBe(policy);
      const page = await response.text();
      const [, heading = ''] = /^# (.+)$/m.exec(readFileSync(join(projectRoot, path), 'utf8')) ?? [];
      expect(page.replaceAll(/<[^>]+>|&\w+;|&#\d+;/g, ''), path).toContain(heading.replaceAll(/[`&<>"']/g, ''));
      expect(page, path).not.toMatch(/<script|<style|\bstyle=|\bon\w+=|javascript:/i);
    }
  });

  test('every link of every page leads to a page, and to a heading that it has', async () => {
    const seen = new Map<string, string>();
    const textAt = async (address: string): Promise<string> => {
      const known = seen.get(address);
      if (known !== undefined) return known;
      const response = await get(address);
      const text = `${response.status} ${await response.text()}`;
      seen.set(address, text);
      return text;
    };
    const broken: string[] = [];
    let count = 0;
    for (const path of pagePaths) {
      const from = addressOf(path);
      for (const target of new Set(targetsIn(await textAt(from)))) {
        if (/^https?:/.test(target)) continue;
        const [address = '', fragment] = target.split('#');
        const text = await textAt(address === '' ? from : address);
        count += 1;
        if (!text.startsWith('200 ') || (fragment !== undefined && !text.includes(`id="${fragment}"`)))
          broken.push(`${path}: ${target}`);
      }
    }
    expect(count).toBeGreaterThan(1_000);
    expect(broken).toEqual([]);
  });

  test('every link of a file to another page is a link of its page', async () => {
    const lost: string[] = [];
    for (const path of pagePaths) {
      const markdown = readFileSync(join(projectRoot, path), 'utf8').replaceAll(/^```[\s\S]*?^```/gm, '');
      const targets = targetsIn(await (await get(addressOf(path))).text());
      for (const [, target = '', fragment = ''] of markdown.matchAll(/\]\(([^)#:\s]+)(#[^)\s]+)?\)/g)) {
        const file = posix.join(dirname(path), target);
        if (pagePaths.includes(file) && !targets.includes(`${addressOf(file)}${fragment}`))
          lost.push(`${path}: ${target}`);
      }
    }
    expect(lost).toEqual([]);
  });

  test('a page and its list of pages name the current page once', async () => {
    const page = await (await get('/docs/api/sendMessage')).text();
    expect([...page.matchAll(/<a\s+href="([^"]*)"\s+aria-current="page"/g)].map(([, url]) => url)).toEqual([
      '/docs/api/sendMessage',
    ]);
    expect(page).toContain('<title>sendMessage · Nightjar</title>');
    expect((await get('/docs/api/')).status).toBe(200);
  });

  test('the list of pages has every page once, those for clients first', async () => {
    const [, nav = ''] = /<nav[^>]*>([\s\S]*)<\/nav>/.exec(await (await get('/docs')).text()) ?? [];
    const listed = targetsIn(nav).filter((target) => /^\/docs(?:\/|$)/.test(target));
    expect(listed.toSorted()).toEqual(pagePaths.map(addressOf).toSorted());
    const groups = [...nav.matchAll(/<summary>([^<]*)<\/summary>/g)].map(([, name]) => name);
    expect(groups.slice(0, 2)).toEqual(['How do I write a client?', 'The API']);
    expect([...nav.matchAll(/<details\s+open/g)]).toHaveLength(1);
  });

  test('a repeated request with the ETag gets 304, also for HEAD', async () => {
    for (const path of ['/docs', '/docs/api/sendMessage', '/docs/style.css', '/openapi.json', '/lexicons']) {
      const first = await get(path);
      const tag = first.headers.get('etag') ?? '';
      expect([path, first.status, first.headers.get('cache-control')]).toEqual([path, 200, 'public, max-age=300']);
      const repeated = await get(path, { 'if-none-match': tag });
      expect([repeated.status, repeated.headers.get('etag'), await repeated.text()]).toEqual([304, tag, '']);
      expect((await get(path, { 'if-none-match': '"other"' })).status).toBe(200);
      const head = await fetch(`${bed.server().url}${path}`, { method: 'HEAD' });
      expect([head.status, head.headers.get('etag'), await head.text()]).toEqual([200, tag, '']);
    }
  });

  test('only GET and HEAD are served', async () => {
    for (const method of ['POST', 'PUT', 'DELETE']) {
      expect((await fetch(`${bed.server().url}/docs`, { method })).status).toBe(404);
    }
  });
});

/** Sends a path as it is, which `fetch` would normalize. */
function statusOf(path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(bed.server().url);
    request({ hostname, port, path, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}

describe('only files of the documentation are served', () => {
  const hostile = [
    '/docs/../package.json',
    '/docs/..%2fpackage.json',
    '/docs/%2e%2e/package.json',
    '/docs/..%5cpackage.json',
    '/docs/....//package.json',
    '/docs//etc/passwd',
    '/docs/%00',
    '/docs/api%2fsendMessage',
    '/docs/package.json',
    '/docs/src/main.ts',
    '/docs/.env',
    '/docs/api/.git/config',
    '/docs/README.md',
    '/docs/tokens.md',
    '/docs/style.md',
    '/docs/constructor',
    '/docs/__proto__',
    '/docs/api/sendMessage/x',
    '/docs/API/sendmessage',
    `/docs/${'a'.repeat(2_000)}`,
    '/openapi.json/',
    '/openapi',
    '/lexicons/',
    '/lexicons/../package.json',
    '/lexicons/package.json',
    '/lexicons/blue.catbird.mls.sendMessage',
    '/lexicons/blue/catbird/mls/sendMessage.json',
    '/lexicons/blue.catbird.mls.sendMessage.json.json',
    '/lexicons/..%2f..%2fpackage.json',
    '/lexicons/__proto__.json',
  ];
  test.each(hostile)('%s is not found', async (path) => {
    expect(await statusOf(path)).toBe(404);
  });

  test('a file of docs that is no page is served as it is, as text, JSON or an image', async () => {
    const response = await get('/docs/deployment/Caddyfile');
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8']);
    expect(await response.text()).toBe(readFileSync(join(projectRoot, 'docs/deployment/Caddyfile'), 'utf8'));
    expect((await get('/docs/openapi.json')).headers.get('content-type')).toBe('application/json; charset=utf-8');
  });
});

describe('the search', () => {
  const search = async (query: string): Promise<string> =>
    (await get(`/docs/search?${new URLSearchParams({ q: query }).toString()}`)).text();
  const found = (page: string): string[] =>
    [...page.matchAll(/<li>\s*<a\s+href="([^"]*)"\s*>[^<]*<\/a\s*>\s*<p>/g)].map(([, url]) => url ?? '');

  test('finds pages by their words, those with the word in the title first', async () => {
    expect(found(await search('sendmessage'))[0]).toBe('/docs/api/sendMessage');
    expect(found(await search('jittered-nonsense'))).toEqual([]);
    expect(found(await search(''))).toEqual([]);
    expect(found(await search('the')).length).toBe(30);
  });

  test('shows what was searched for as text', async () => {
    const page = await search('"><script>alert(1)</script><img src=x onerror=y>');
    expect(page).not.toMatch(/<script|<img/);
    expect(page).toContain('value="&quot;&gt;&lt;script&gt;');
    expect((await search('a'.repeat(500))).match(/a{101}/)).toBeNull();
  });
});

describe('the OpenAPI document and the lexicons', () => {
  test('are served as they are in the repository', async () => {
    const { lexicons } = (await (await get('/lexicons')).json()) as { lexicons: { id: string; url: string }[] };
    const files = readTree().filter(({ path }) => /^lexicons\/.*[.]json$/.test(path));
    expect(lexicons.length).toBe(files.length);
    for (const { id, url } of lexicons) {
      const response = await get(url);
      expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
      const text = await response.text();
      expect(files.map((file) => file.text)).toContain(text);
      expect((JSON.parse(text) as { id: string }).id).toBe(id);
    }
    expect(await (await get('/openapi.json')).text()).toBe(
      readFileSync(join(projectRoot, 'docs/openapi.json'), 'utf8'),
    );
  });

  test('pages of an allowed origin may read them', async () => {
    for (const path of ['/openapi.json', '/lexicons', '/lexicons/blue.catbird.mls.sendMessage.json']) {
      const allowed = await get(path, { origin: 'https://app.example.com' });
      expect(allowed.headers.get('access-control-allow-origin')).toBe('https://app.example.com');
      const other = await get(path, { origin: 'https://other.example.com' });
      expect(other.headers.get('access-control-allow-origin')).toBeNull();
    }
  });
});
