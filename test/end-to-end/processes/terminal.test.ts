import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { version } from '#platform/process/version.ts';
import { projectRoot } from '../../conventions/source-tree.ts';
import { createTestDatabase } from '../../support/postgres/database.ts';
import type { TestDatabase } from '../../support/postgres/database.ts';
import { createNpmFolder, pathOfMachine } from '../../support/processes/npm-folder.ts';
import { hasTerminals, startOnTerminal } from '../../support/processes/terminal.ts';
import type { OnTerminal } from '../../support/processes/terminal.ts';

const adminKey = 'an admin key of 24 letters';
const identityKey = newKeyRingText();
const cleanUps: (() => Promise<unknown>)[] = [];
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 2 });
});
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});
afterAll(() => database.close());

const ports = { SERVER_PORT: '0', ADMIN_PORT: '0', WORKER_ADMIN_PORT: '0' };

function start(line: string, cwd: string, env: Readonly<Record<string, string>>): OnTerminal {
  const terminal = startOnTerminal(line, cwd, { PATH: pathOfMachine, TERM: 'xterm', ...ports, ...env });
  cleanUps.push(() => terminal.kill());
  return terminal;
}

/** The settings of a process on the database of the tests. */
const onDatabase = (): Record<string, string> => ({
  DATABASE_URL: database.url,
  IDENTITY_KEY: identityKey,
  ADMIN_KEY: adminKey,
});

const isJson = (line: string): boolean => line.startsWith('{');
const isEvent = (line: string): boolean => /^(\^C)?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ [\w :]/.test(line);

test.skipIf(!hasTerminals)(
  'npm start on a terminal says where it answers, where the data is and what to try, and stops by Ctrl-C',
  { timeout: 60_000 },
  async () => {
    const folder = await createNpmFolder('installed');
    cleanUps.push(() => folder.remove());
    const terminal = start('npm start', folder.path, { npm_config_logs_max: '0' });
    await terminal.untilShown(/ Ctrl-C\n/);
    const lines = terminal.lines();
    expect(lines).toContain(`Nightjar ${version} runs: the server and its workers.`);
    const valueOf = (label: string): string => lines.find((line) => line.startsWith(`  ${label} `)) ?? '';
    expect(valueOf('Data')).toContain(join(folder.path, '.data'));
    expect(valueOf('Try')).toContain('npm run demo');
    for (const label of ['Address', 'Metrics', 'Docs']) {
      const [url = ''] = /http:[^\s]*\w/.exec(valueOf(label)) ?? [];
      expect((await fetch(url)).status, label).toBe(200);
    }
    await terminal.interrupt();
    const shown = terminal.lines();
    expect(shown.filter((line) => / The server (stops|has stopped)\b/.test(line))).toHaveLength(2);
    expect(shown.filter((line) => isJson(line) || line.includes('.env not found'))).toEqual([]);
    expect(shown.length, shown.join('\n')).toBeLessThan(30);
  },
);

test.skipIf(!hasTerminals)(
  'a worker on a terminal does the same, without the secrets of its settings',
  { timeout: 30_000 },
  async () => {
    const terminal = start(`${process.execPath} workers/main.ts`, projectRoot, onDatabase());
    await terminal.untilShown(/ Ctrl-C\n/);
    expect(terminal.lines()).toContain(`Nightjar ${version} runs: a worker.`);
    await terminal.interrupt();
    const shown = terminal.lines();
    expect(shown.filter((line) => / The worker (stops|has stopped)\b/.test(line))).toHaveLength(2);
    expect(shown.filter(isJson)).toEqual([]);
    const told = shown.join('\n');
    expect([database.url, identityKey, adminKey].filter((secret) => told.includes(secret))).toEqual([]);
  },
);

test.skipIf(!hasTerminals)('LOG_FORMAT=json keeps JSON lines on a terminal', { timeout: 30_000 }, async () => {
  const env = { ...onDatabase(), LOG_FORMAT: 'json' };
  const terminal = start(`${process.execPath} src/main.ts server`, projectRoot, env);
  await terminal.untilShown(/server_listening/);
  await terminal.interrupt();
  const shown = terminal.lines().map((line) => line.replace(/^\^C/, ''));
  expect(shown.filter((line) => line !== '' && !isJson(line))).toEqual([]);
});

test.for([
  ['text', { LOG_FORMAT: 'text' }, isEvent],
  ['JSON lines', {}, isJson],
] as const)('without a terminal the output is %s with %o', { timeout: 30_000 }, async ([, env, isRight]) => {
  const child = spawn(process.execPath, ['src/main.ts', 'server'], {
    cwd: projectRoot,
    env: { PATH: pathOfMachine, ...ports, ...onDatabase(), ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    printed += chunk;
    if (/server_listening|Ctrl-C/.test(chunk)) child.kill('SIGTERM');
  });
  await once(child, 'close');
  const events = printed.split('\n').filter((line) => isEvent(line) || isJson(line));
  expect(events.length, printed).toBeGreaterThan(3);
  expect(events.filter((event) => !isRight(event))).toEqual([]);
});
