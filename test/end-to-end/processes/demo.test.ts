import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDemoOutput } from '../../../bin/demo/output.ts';
import { createPeople, runScenario } from '../../../bin/demo/scenario.ts';
import type { People, ScenarioFacts } from '../../../bin/demo/scenario.ts';
import { createLeakScanner, dumpTables } from '../../support/privacy/leak-scanner.ts';
import { startTestBed } from '../../support/test-server.ts';
import type { TestBed } from '../../support/test-server.ts';
import { projectRoot } from '../../conventions/source-tree.ts';

const lines: string[] = [];
/** The tokens of all requests in the demo, searched for afterwards. */
const tokens: string[] = [];
let bed: TestBed;
let people: People;
let facts: ScenarioFacts;

beforeAll(async () => {
  bed = await startTestBed();
  people = createPeople(bed.server(), bed.plc);
  for (const { account } of Object.values(people) as { account: { mintToken: (...args: never) => string } }[]) {
    const { mintToken } = account;
    account.mintToken = (...args) => {
      const token = mintToken(...args);
      tokens.push(token);
      return token;
    };
  }
  const output = createDemoOutput((line) => void lines.push(line));
  facts = await runScenario({ server: bed.server(), people, output });
});
afterAll(() => bed.stop());

/** Everything that could identify the people: DIDs, names, tokens and their parts, and the address. */
function identifyingTexts(): string[] {
  const { alice, bob, carol } = people;
  const persons = [alice, bob, carol].flatMap(({ did, deviceName, name }) => [did, deviceName, `${name}'s`]);
  return [
    ...persons,
    facts.groupName,
    ...tokens.flatMap((token) => [token, ...token.split('.').slice(1)]),
    '127.0.0.1',
  ];
}

test('the demo adds a member, exchanges messages, catches up by cursor and removes a member', () => {
  expect(lines.join('\n')).toMatch(/Bob reconnects with his cursor and gets:[^]*"Page ninety!"[^]*"Too late\."/);
  expect(lines.every((line) => line.length <= 100)).toBe(true);
  expect(tokens.length).toBeGreaterThan(25);
});

test('afterwards no table contains a DID, a name, a token or an address, encoded or hashed', async () => {
  const scanner = createLeakScanner(identifyingTexts());
  const dump = await dumpTables(bed.database.sql);
  expect([...dump].flatMap(([table, bytes]) => scanner.scan(table, bytes))).toEqual([]);
  const sizeBytes = [...dump.values()].reduce((size, bytes) => size + bytes.length, 0);
  expect(sizeBytes, 'the dump is empty').toBeGreaterThan(10_000);
  const groupId = createLeakScanner([facts.convoId]);
  expect(dump.size > 0 && [...dump].flatMap(([table, bytes]) => groupId.scan(table, bytes))).not.toEqual([]);
});

test('afterwards the log at level trace contains none of these and no conversation id', () => {
  const { logLines } = bed.server();
  expect(logLines.some((line) => line.includes('server_listening'))).toBe(true);
  const scanner = createLeakScanner([...identifyingTexts(), facts.convoId]);
  expect(scanner.scan('log', Buffer.from(logLines.join('')))).toEqual([]);
});

test('afterwards the metrics contain none of these either', async () => {
  const scanner = createLeakScanner([...identifyingTexts(), facts.convoId]);
  const response = await fetch(`http://127.0.0.1:${bed.server().adminPort}/metrics`);
  const metrics = await response.text();
  expect(metrics).toContain('sendMessage');
  expect(scanner.scan('metrics', Buffer.from(metrics))).toEqual([]);
});

const demoFolders = async (): Promise<string[]> =>
  (await readdir(tmpdir())).filter((name) => name.startsWith('nightjar-demo-'));

test('npm run demo exits 0 and leaves no folder behind', { timeout: 60_000 }, async () => {
  const before = await demoFolders();
  const child = spawn(process.execPath, ['bin/demo.ts'], { cwd: projectRoot, stdio: ['ignore', 'pipe', 'pipe'] });
  const [output, errors, [exitCode]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  expect([exitCode, errors]).toEqual([0, '']);
  expect(output).toContain('Every step succeeded');
  expect(output.split('\n').every((line) => line.length <= 100)).toBe(true);
  expect((await demoFolders()).filter((name) => !before.includes(name))).toEqual([]);
});
