import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { projectRoot } from '../conventions/source-tree.ts';
import { createNpmFolder, pathOfMachine } from '../support/processes/npm-folder.ts';
import type { NpmFolder } from '../support/processes/npm-folder.ts';

const execute = promisify(execFile);
const hasCurl = await execute('curl', ['--version']).then(
  () => true,
  () => false,
);
const ended: (() => Promise<void>)[] = [];
let folder: NpmFolder;
let port: number;
let section: string;
let startOutput: () => string;

/** Returns a port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const found = (server.address() as AddressInfo).port;
  server.close();
  await once(server, 'close');
  return found;
}

/** Starts a command in the folder, and returns what it has printed so far. Its whole process group ends after the tests. */
function startCommand(line: string): () => string {
  const child: ChildProcess = spawn('sh', ['-c', line], {
    cwd: folder.path,
    env: { PATH: pathOfMachine, npm_config_logs_max: '0' },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => (printed += chunk));
  ended.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    process.kill(-child.pid, 'SIGTERM');
    await once(child, 'close');
  });
  return () => printed;
}

/** The code of the n-th block of the section, as written, except for the port. */
function block(language: string, nth = 0): string {
  const found = [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter(([, each]) => each === language);
  return (found[nth]?.[2] ?? '').replaceAll('127.0.0.1:8080', `127.0.0.1:${port}`);
}

beforeAll(async () => {
  const readme = await readFile(join(projectRoot, 'README.md'), 'utf8');
  section = /^## How do I send a first message\?\n(.*?)^## /ms.exec(readme)?.[1] ?? '';
  // What npm does at the end of `npm ci`.
  await execute(process.execPath, ['bin/build-client.ts'], { cwd: projectRoot });
  folder = await createNpmFolder('installed');
  port = await freePort();
  await folder.writeEnvFile(`SERVER_PORT=${port}\nADMIN_PORT=0\nLOG_FORMAT=text\n`);
  startOutput = startCommand('npm start');
  await vi.waitUntil(() => startOutput().includes('Ctrl-C'), { timeout: 50_000, interval: 100 });
}, 60_000);
afterAll(async () => {
  for (const end of ended.toReversed()) await end();
  await folder.remove();
}, 30_000);

test('npm start names the chat page and the commands for people and tokens', () => {
  expect(startOutput()).toContain(`http://127.0.0.1:${port}/chat\n`);
  expect(startOutput()).toContain('npm run admin -- dev people');
  expect(startOutput()).toContain('npm run -s admin -- dev token --as alice --method getConvos');
});

test('the program of README sends a message that the other person reads', { timeout: 60_000 }, async () => {
  const program = block('ts');
  expect(program).toContain('@nightjar/client/messenger');
  await writeFile(join(folder.path, 'first-message.ts'), program);
  expect(section).toContain('npx node first-message.ts');
  const printed = startCommand('npx node first-message.ts');
  await expect.poll(printed, { timeout: 45_000 }).toContain('bob message Hello, Bob.\n');
});

test('the program of README has no type error, with the types that npm ci has built', async () => {
  await writeFile(join(folder.path, 'first-message.ts'), block('ts'));
  const extended = { extends: join(projectRoot, 'tsconfig.json'), include: ['first-message.ts'] };
  await writeFile(join(folder.path, 'tsconfig.json'), JSON.stringify(extended));
  expect(await folder.run('npx tsc -p .')).toEqual({ exitCode: 0, stdout: '', stderr: '' });
});

test.skipIf(!hasCurl)('the commands of README call a method with curl', { timeout: 60_000 }, async () => {
  const commands = block('sh');
  expect(commands).toContain('curl ');
  const { stdout } = await folder.run(`set -e\n${commands}`);
  const { conversations } = JSON.parse(stdout) as { conversations: { members: unknown[] }[] };
  expect(conversations).toHaveLength(1);
  expect(conversations[0]?.members).toHaveLength(2);
});
