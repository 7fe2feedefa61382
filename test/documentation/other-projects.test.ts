import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mountDocumentation } from '#documentation/mount-documentation.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-documentation-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A project with these files, served. */
async function project(name: string, files: Readonly<Record<string, string>>): Promise<Hono> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(folder, name, path, '..'), { recursive: true });
    await writeFile(join(folder, name, path), text);
  }
  const app = new Hono();
  mountDocumentation(app, join(folder, name));
  return app;
}

const pageOf = async (app: Hono, path: string): Promise<string> => {
  const [, main = ''] = /<main[^>]*>([\s\S]*)<\/main>/.exec(await (await app.request(path)).text()) ?? [];
  return main;
};

test('without a folder of documentation nothing is found, and nothing fails', async () => {
  const app = await project('empty', { 'README.md': '# Secret' });
  for (const path of [
    '/docs',
    '/docs/README',
    '/docs/search?q=secret',
    '/openapi.json',
    '/lexicons',
    '/lexicons/a.b.json',
  ]) {
    expect([path, (await app.request(path)).status]).toEqual([path, 404]);
  }
});

test('links lead to the addresses of their pages, and links to what is not served are text', async () => {
  const app = await project('links', {
    'README.md': '# Read me\n\n[Guide](docs/guide.md#how-do-i-start), [source](src/main.ts), [licence](LICENSE)',
    'src/main.ts': 'secret',
    LICENSE: 'MIT',
    'docs/guide.md':
      '# Guide\n\n[up](../README.md) [api](api/README.md) [out](https://example.com/?a=1&b=2) [file](data.json) [outside](../../../etc/passwd)\n\n## How do I start?\n\n## How do I start?',
    'docs/data.json': '{}',
    'docs/api/README.md': '# API\n\n[guide](../guide.md) [method](get.md#get)',
    'docs/api/get.md': '# get',
  });
  expect(await pageOf(app, '/docs')).toContain('<a href="/docs/guide#how-do-i-start">Guide</a>, source, licence');
  const guide = await pageOf(app, '/docs/guide');
  expect(guide).toContain(
    '<a href="/docs">up</a> <a href="/docs/api">api</a> <a href="https://example.com/?a=1&amp;b=2">out</a> <a href="/docs/data.json">file</a> outside',
  );
  expect(guide).toContain('<h2 id="how-do-i-start">');
  expect(guide).toContain('<h2 id="how-do-i-start-1">');
  expect(await pageOf(app, '/docs/api')).toContain(
    '<a href="/docs/guide">guide</a> <a href="/docs/api/get#get">method</a>',
  );
});

test('images of the documentation are shown, and others are not', async () => {
  const app = await project('images', {
    'docs/a.md': '# A\n\n![Chat](images/chat.png) ![Far](https://example.com/a.png) ![Secret](../secret.png)',
    'docs/images/chat.png': 'picture',
    'secret.png': 'secret',
  });
  expect(await pageOf(app, '/docs/a')).toContain(
    '<img src="/docs/images/chat.png" alt="Chat" loading="lazy"> Far Secret',
  );
  const image = await app.request('/docs/images/chat.png');
  expect([image.status, image.headers.get('content-type'), await image.text()]).toEqual([200, 'image/png', 'picture']);
});

describe('hostile files', () => {
  test('symbolic links, hidden files and unusual names are not served', async () => {
    const app = await project('symlinks', {
      'secret.md': '# Secret',
      'docs/a.md': '# A',
      'docs/.hidden.md': '# Hidden',
      'docs/sub/.env': 'secret',
      'docs/odd name.md': '# Odd',
      'lexicons/a/b.json': '{}',
    });
    const root = join(folder, 'symlinks');
    await symlink(join(root, 'secret.md'), join(root, 'docs/linked.md'));
    await symlink(root, join(root, 'docs/project'));
    await symlink(join(root, 'secret.md'), join(root, 'lexicons/a/c.json'));
    expect((await app.request('/docs/a')).status).toBe(200);
    const names = ['linked', 'project/secret', '.hidden', 'sub/.env', 'odd%20name', 'odd name'];
    for (const name of names) expect([name, (await app.request(`/docs/${name}`)).status]).toEqual([name, 404]);
    expect(await (await app.request('/lexicons')).json()).toEqual({
      lexicons: [{ id: 'a.b', url: '/lexicons/a.b.json' }],
    });
    expect((await app.request('/lexicons/a.c.json')).status).toBe(404);
  });

  test('a file that becomes a symbolic link after the listing is not served', async () => {
    const app = await project('replaced', { 'secret.txt': 'secret', 'docs/a.txt': 'public', 'docs/b.md': '# B' });
    expect(await (await app.request('/docs/a.txt')).text()).toBe('public');
    const root = join(folder, 'replaced');
    await rm(join(root, 'docs/a.txt'));
    await symlink(join(root, 'secret.txt'), join(root, 'docs/a.txt'));
    expect((await app.request('/docs/a.txt')).status).toBe(404);
  });

  test('HTML in Markdown is shown as text, and no address runs a script', async () => {
    const app = await project('html', {
      'docs/a.md':
        '# A <b>"title"</b>\n\n<script>alert(1)</script>\n\ntext <img src=x onerror=alert(1)> [x](javascript:alert(1)) [y](data:text/html,x) [z](//evil.example) <javascript:alert(1)>\n\n```"><script>\n<b>\n```\n\n<!-- a comment -->',
    });
    const page = await (await app.request('/docs/a')).text();
    expect(page).not.toMatch(/<script|<img|<b>|href="(javascript|data|\/\/)|a comment/);
    expect(page).toContain('&lt;script&gt;');
  });

  test('changes of a file show after a restart', async () => {
    const app = await project('cache', { 'docs/a.md': '# First' });
    expect(await pageOf(app, '/docs/a')).toContain('First');
    await writeFile(join(folder, 'cache/docs/a.md'), '# Second');
    expect(await pageOf(app, '/docs/a')).toContain('First');
  });
});
