import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { projectRoot } from '../conventions/source-tree.ts';
import { childEnvironment } from '../support/processes/child-environment.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';

const execute = promisify(execFile);
const linesMax = 60;
const page = await readFile(join(projectRoot, 'docs/first-client.md'), 'utf8');
const [, program = ''] = /^```ts\n(.*?)^```$/ms.exec(page) ?? [];
const [, output = ''] = /^It prints:\n\n```\n(.*?)^```$/ms.exec(page) ?? [];

let bed: TestBed;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-first-client-'));
  await installClient();
  bed = await startTestBed({ env: { DEVELOPMENT_IDENTITIES: 'true', DATA_DIR: join(folder, 'data') } });
}, 120_000);
afterAll(async () => {
  await bed?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Builds the client into a folder of its own, because other tests build it at the same time. */
async function installClient(): Promise<void> {
  const [packages, modules] = [join(projectRoot, 'node_modules'), join(folder, 'node_modules')];
  const client = join(modules, '@nightjar', 'client');
  await mkdir(client, { recursive: true });
  for (const name of await readdir(packages)) {
    if (name !== '@nightjar') await symlink(join(packages, name), join(modules, name));
  }
  // As in the clone, where the page says to save the program.
  await writeFile(join(folder, 'package.json'), '{"type": "module"}');
  await cp(join(projectRoot, 'packages/client/package.json'), join(client, 'package.json'));
  const compiler = join(packages, 'typescript', 'bin', 'tsc');
  const project = join(projectRoot, 'packages/client');
  await execute(process.execPath, [compiler, '-p', project, '--outDir', join(client, 'dist')]);
}

async function run(text: string): Promise<string> {
  const file = join(folder, 'first-client.ts');
  await writeFile(file, text.replace('http://127.0.0.1:8080', bed.server().url));
  const options = { cwd: folder, env: childEnvironment, timeout: 60_000 };
  // A program that failed shows how far it came.
  const { stdout, stderr } = await execute(process.execPath, [file], options).catch(
    (error: { readonly stdout: string; readonly stderr: string }) => error,
  );
  return `${stdout}${stderr}`;
}

test('the program on the page has at most 60 lines', () => {
  expect(program.trim().split('\n').length).toBeLessThanOrEqual(linesMax);
  expect(program).toContain('http://127.0.0.1:8080');
});

test('the program on the page compiles', { timeout: 60_000 }, async () => {
  const file = join(folder, 'checked.ts');
  await writeFile(file, program);
  const compiler = join(projectRoot, 'node_modules', 'typescript', 'bin', 'tsc');
  const options = '--noEmit --strict --target esnext --module nodenext --types node --ignoreConfig'.split(' ');
  const result = await execute(process.execPath, [compiler, ...options, file], { cwd: folder }).catch(
    (error: { readonly stdout?: string }) => ({ stdout: error.stdout }),
  );
  expect(result.stdout).toBe('');
});

test('the program on the page prints what the page says, against a running server', { timeout: 90_000 }, async () => {
  expect(await run(program)).toBe(output);
});
