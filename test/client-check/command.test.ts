import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { projectRoot } from '../conventions/source-tree.ts';

interface Line {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** Folder for temporary files of the commands. */
let folder = '';
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'check-command-'))));
afterAll(() => rm(folder, { recursive: true }));

const start = (...args: string[]): ChildProcessByStdio<null, Readable, Readable> =>
  spawn(process.execPath, ['bin/client-check.ts', ...args], {
    cwd: projectRoot,
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });

async function run(...args: string[]): Promise<{ exitCode: number; lines: Line[]; errors: string }> {
  const child = start(...args);
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  const lines = output.split('\n').filter((line) => line !== '');
  return { exitCode: child.exitCode ?? -1, lines: lines.map((line) => JSON.parse(line) as Line), errors };
}

const withEventOf = (lines: readonly Line[], event: string): Line[] => lines.filter((line) => line.event === event);

describe.concurrent('npm run client-check', () => {
  test(
    'the command exits 0 for a correct client, and 1 with the broken rule for a careless one',
    { timeout: 180_000 },
    async () => {
      const scenarios = ['--scenario', 'no-faults,key-change', '--answer-seconds', '60'];
      const [correct, careless] = await Promise.all([
        run('--run', 'node test/client-check/echo-client.ts', ...scenarios),
        run('--run', 'node test/client-check/careless-client.ts publishes-no-last-resort-package', ...scenarios),
      ]);
      expect(withEventOf(correct.lines, 'report')).toEqual([{ event: 'report', passed: 2, failed: 0 }]);
      expect(correct.exitCode).toBe(0);
      expect(withEventOf(careless.lines, 'rule')).toMatchObject([
        { id: 'last-resort', count: 2, page: 'docs/api/publishKeyPackages.md' },
      ]);
      expect(withEventOf(careless.lines, 'report')).toEqual([{ event: 'report', passed: 0, failed: 2 }]);
      expect(careless.exitCode).toBe(1);
    },
  );

  test('a command that ends by itself is reported', { timeout: 180_000 }, async () => {
    const { exitCode, lines } = await run('--run', 'exit 7', '--scenario', 'no-faults');
    expect(withEventOf(lines, 'rule')).toMatchObject([
      { id: 'starts', seen: [expect.stringContaining('the command has ended with code 7')] },
    ]);
    expect(exitCode).toBe(1);
  });

  test(
    'without a command it prints the identity and waits; SIGTERM ends it and deletes its data',
    { timeout: 180_000 },
    async () => {
      const child = start();
      let output = '';
      for await (const chunk of child.stdout) {
        output += String(chunk);
        if (output.includes('"waiting"')) break;
      }
      const waiting = output.split('\n').find((line) => line.includes('"waiting"')) ?? '{}';
      expect(JSON.parse(waiting)).toMatchObject({
        NIGHTJAR_URL: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
        NIGHTJAR_SERVICE_DID: expect.stringMatching(/^did:web:/),
        NIGHTJAR_CLIENT_DID: expect.stringMatching(/^did:plc:/),
        NIGHTJAR_CLIENT_KEY_FILE: expect.stringMatching(/\.pem$/),
      });
      child.kill('SIGTERM');
      await once(child, 'close');
      expect(child.exitCode).toBe(143);
    },
  );

  test('a scenario that does not exist and a wrong number are refused in a sentence', { timeout: 60_000 }, async () => {
    expect(await run('--scenario', 'no-such')).toEqual({
      exitCode: 1,
      lines: [],
      errors: 'There is no scenario no-such; --list shows all.\n',
    });
    expect((await run('--parallel', '0')).errors).toBe('--parallel must be a whole number from 1 on.\n');
  });
});

test('the commands have deleted their data', async () => {
  expect(await readdir(folder)).toEqual([]);
});
