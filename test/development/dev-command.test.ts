import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { projectRoot } from '../conventions/source-tree.ts';
import { childEnvironment } from '../support/processes/child-environment.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';

interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

let bed: TestBed;
let dataDir: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'nightjar-dev-'));
  bed = await startTestBed({ env: { DEVELOPMENT_IDENTITIES: 'true', DATA_DIR: dataDir } });
});
afterAll(async () => {
  await bed.stop();
  await rm(dataDir, { recursive: true, force: true });
});

/** Runs `npm run admin -- dev …` in a process of its own, beside the running server. */
function dev(line: string, env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { cwd: projectRoot, env: { ...childEnvironment, DATA_DIR: dataDir, NO_COLOR: '1', ...env } };
    execFile(process.execPath, ['bin/admin.ts', 'dev', ...line.split(' ')], options, (error, stdout, stderr) => {
      const exitCode = typeof error?.code === 'number' ? error.code : error === null ? 0 : -1;
      resolve({ exitCode, stdout, stderr });
    });
  });
}

async function statusOf(method: string, token: string): Promise<number> {
  const headers = { authorization: `Bearer ${token}` };
  return (await fetch(`${bed.server().url}/xrpc/blue.catbird.mls.${method}`, { headers })).status;
}

test(
  'dev token prints a token alone, which the running server accepts for its method',
  { timeout: 60_000 },
  async () => {
    for (const method of ['getConvos', 'blue.catbird.mls.getConvos']) {
      const { stdout, stderr, exitCode } = await dev(`token --as alice --method ${method}`);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      expect(stdout).toMatch(/^[\w-]+[.][\w-]+[.][\w-]+\n$/);
      expect(await statusOf('getOptInStatus', stdout.trim())).toBe(401);
      expect(await statusOf('getConvos', stdout.trim())).toBe(200);
    }
  },
);

test('dev person makes a person whose tokens the running server accepts', { timeout: 60_000 }, async () => {
  const created = await dev('person erin');
  expect(created.stdout).toMatch(/^did:plc:[a-z2-7]{24}\n$/);
  expect(await dev('person erin')).toEqual(created);
  const { stdout } = await dev('token --as erin --method getConvos');
  expect(await statusOf('getConvos', stdout.trim())).toBe(200);
  const { stdout: list } = await dev('people');
  expect(list).toContain(`${created.stdout.trim()}  erin.test`);
  expect(list.split('\n').map((line) => line.split(' ')[0])).toEqual(['alice', 'bob', 'carol', 'erin', '']);
});

test.each([
  ['token --as alice --method sendMesage', 'There is no method sendMesage. All methods are in docs/api/README.md.'],
  ['token --as alice --method message', 'Did you mean '],
  ['token --as zed --method getConvos', 'Create one with: npm run admin -- dev person NAME'],
  ['token --as ../server --method getConvos', 'A name has 1 to 32 lower-case letters'],
  ['person Alice', 'A name has 1 to 32 lower-case letters'],
])('dev %s says what to do', { timeout: 30_000 }, async (line, hint) => {
  const { exitCode, stdout, stderr } = await dev(line);
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
  expect(stderr).toContain(hint);
});

const production = {
  NODE_ENV: 'production',
  SERVICE_DID: 'did:web:mls.nightjar.test',
  DATABASE_URL: 'postgres://127.0.0.1/nightjar',
  IDENTITY_KEY: newKeyRingText(),
};

test.each(['people', 'person mallory', 'token --as alice --method getConvos'])(
  'dev %s is refused in production, and when identities are off',
  { timeout: 30_000 },
  async (line) => {
    const inProduction = await dev(line, production);
    expect(inProduction).toMatchObject({ exitCode: 1, stdout: '' });
    expect(inProduction.stderr).toContain('There are no development identities in production.');
    const turnedOff = await dev(line, { DEVELOPMENT_IDENTITIES: 'false' });
    expect(turnedOff).toMatchObject({ exitCode: 1, stdout: '' });
    expect(turnedOff.stderr).toContain('DEVELOPMENT_IDENTITIES is false.');
  },
);
