import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const bundleSizeBytesMax = 40 * 1_024;

let bed: TestBed;
/** An app that has installed the packed client. */
let app: string;

beforeAll(async () => {
  bed = await startTestBed();
  app = await mkdtemp(join(tmpdir(), 'nightjar-app-'));
  await run('npm', ['pack', '-w', '@nightjar/client', '--pack-destination', app], { cwd: root });
  const tarball = (await readdir(app)).find((name) => name.endsWith('.tgz')) ?? '';
  await writeFile(join(app, 'package.json'), JSON.stringify({ name: 'app', private: true, type: 'module' }));
  const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--no-save'];
  await run('npm', ['install', ...flags, `./${tarball}`, 'ts-mls@1.6.4'], { cwd: app });
  await copyPrograms();
}, 240_000);
afterAll(async () => {
  await bed.stop();
  await rm(app, { recursive: true, force: true });
});

const compilerOptions = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  target: 'es2023',
  lib: ['es2023', 'dom'],
  module: 'nodenext',
  types: [],
};

/** Copies the programs, with imports of the package instead of its sources, and compiles them. */
async function copyPrograms(): Promise<void> {
  const text = await readFile(join(root, 'packages/client/package.json'), 'utf8');
  const { exports } = JSON.parse(text) as { exports: Record<string, { default: string }> };
  const files = ['two-people.ts', 'typed-program.ts'];
  for (const name of files) {
    let program = await readFile(join(import.meta.dirname, 'installed', name), 'utf8');
    for (const [path, target] of Object.entries(exports)) {
      const source = target.default.replace('./dist/', '#client/').replace('.js', '.ts');
      program = program.replaceAll(`'${source}'`, `'${path.replace('.', '@nightjar/client')}'`);
    }
    expect(program).not.toContain('#client');
    await writeFile(join(app, name), program);
  }
  await writeFile(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
}

/** The path of a program, without what npm puts before the path; undefined where it is not installed. */
function findProgram(name: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'));
  const paths = [...folders, '/usr/bin', '/usr/local/bin'].map((folder) => join(folder, name));
  return paths.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A Node from 20 on that is older than the one of this project. */
async function findOldNode(): Promise<string | undefined> {
  const path = findProgram('node');
  if (path === undefined) return undefined;
  const major = Number(/^v(\d+)/.exec((await run(path, ['--version'])).stdout)?.[1]);
  return major >= 20 && major < 24 ? path : undefined;
}

const oldNode = await findOldNode();
const deno = findProgram('deno');
const bun = findProgram('bun');

/** Two people of the installed client exchange messages in a process that ends by itself. */
async function converse(program: string, args: readonly string[]): Promise<unknown> {
  const [alice, bob] = [bed.account({ curve: 'p256' }), bed.account({ curve: 'p256' })];
  const people = [alice, bob].map((account) => ({
    did: account.did,
    privateKey: account.privateKeyPem().replaceAll(/-----[A-Z ]+-----|\s/g, ''),
  }));
  const { url: serviceUrl, serviceDid } = bed.server();
  const options = JSON.stringify({ serviceUrl, serviceDid, people });
  const env = { ...process.env, NODE_OPTIONS: '', NODE_COMPILE_CACHE: '' };
  const { stdout } = await run(program, [...args, 'two-people.js', options], { cwd: app, env, timeout: 100_000 });
  return JSON.parse(stdout);
}

const conversation = { alice: ['hello alice'], bob: ['hello bob'] };

test('strict programs compile with the types of the package', { timeout: 120_000 }, async () => {
  const { stdout } = await run('tsc', ['-p', app], { cwd: root }).catch(
    (error: unknown) => error as { stdout: string },
  );
  expect(stdout).toBe('');
});

describe('the installed client: two people exchange messages', { timeout: 120_000 }, () => {
  test('on the Node of this project', async () => {
    expect(await converse(process.execPath, [])).toEqual(conversation);
  });

  test.skipIf(oldNode === undefined)('on an older Node, from 20 on', async () => {
    expect(await converse(oldNode ?? '', [])).toEqual(conversation);
  });

  test.skipIf(deno === undefined)('on Deno', async () => {
    expect(await converse(deno ?? '', ['run', '--quiet', '-A', '--node-modules-dir=manual'])).toEqual(conversation);
  });

  test.skipIf(bun === undefined)('on Bun', async () => {
    expect(await converse(bun ?? '', ['run'])).toEqual(conversation);
  });
});

test('no file of the package imports Node', async () => {
  const folder = join(app, 'node_modules', '@nightjar', 'client', 'dist');
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.js'));
  const texts = await Promise.all(
    names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')] as const),
  );
  expect(names.length).toBeGreaterThan(20);
  expect(texts.filter(([, text]) => /['"]node:|(?<!#)\brequire\(/.test(text)).map(([name]) => name)).toEqual([]);
});

test('the bundle of API, stream and conversations without ts-mls has at most 40 KiB', async () => {
  const names = ['api', 'api-error', 'pages', 'stream', 'messenger', 'ts-mls-engine', 'indexed-db-storage'];
  const entry = join(app, 'entry.js');
  await writeFile(entry, names.map((name) => `export * from '@nightjar/client/${name}';\n`).join(''));
  const built = await build({
    root: app,
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      minify: true,
      lib: { entry, formats: ['es'] },
      rolldownOptions: { external: /^ts-mls/ },
    },
  });
  const outputs = Array.isArray(built) ? built : [built];
  const code = outputs.flatMap((each) =>
    'output' in each ? each.output.flatMap((file) => (file.type === 'chunk' ? [file.code] : [])) : [],
  );
  const sizeBytes = gzipSync(code.join(''), { level: 9 }).length;
  expect(sizeBytes).toBeGreaterThan(5_000);
  expect(sizeBytes).toBeLessThanOrEqual(bundleSizeBytesMax);
});
