import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { newSecret } from '#platform/ids.ts';
import { settings } from '#platform/config/settings.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import { onDatabase } from '../support/postgres/database-url.ts';
import { projectRoot } from '../conventions/source-tree.ts';
import { childEnvironment } from '../support/processes/child-environment.ts';

interface CommandResult {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

function config(env: Readonly<Record<string, string>>, ...args: string[]): Promise<CommandResult> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(projectRoot, 'bin/admin.ts'), 'config', ...args],
      { cwd: projectRoot, env: { ...childEnvironment, ...env } },
      (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }),
    );
  });
}

test('config check prints ok, or every problem with exit code 78', async () => {
  expect(await config({}, 'check')).toEqual({ code: 0, stdout: 'ok\n', stderr: '' });
  const bad = await config({ NODE_ENV: 'production', SERVER_PORT: 'x', RATE_LIMIT_SEND: '1' }, 'check');
  expect(bad.code).toBe(78);
  for (const name of ['SERVER_PORT', 'RATE_LIMIT_SEND', 'SERVICE_DID', 'DATABASE_URL', 'IDENTITY_KEY'])
    expect(bad.stderr).toContain(`- ${name}: `);
});

test('config check --database checks the database: exit code 78 without its schema, 75 when it is unreachable', async () => {
  const [good, empty] = [await createTestDatabase(), await createTestDatabase({ schema: 'empty' })];
  try {
    const fine = await config({ DATABASE_URL: good.url }, 'check', '--database');
    expect(fine).toEqual({ code: 0, stdout: 'ok\n', stderr: '' });
    const bare = await config({ DATABASE_URL: empty.url }, 'check', '--database');
    expect([bare.code, bare.stderr]).toEqual([78, expect.stringContaining('npm run migrate -- up')]);
    const unreachableUrl = new URL(onDatabase(inject('postgresUrl'), 'postgres'));
    unreachableUrl.port = '9';
    const unreachable = await config({ DATABASE_URL: unreachableUrl.href }, 'check', '--database');
    expect([unreachable.code, unreachable.stderr]).toEqual([75, expect.stringContaining('Start Postgres')]);
  } finally {
    await Promise.all([good.close(), empty.close()]);
  }
});

test('config print shows every setting and no secret', async () => {
  const key = newSecret(32).toString('base64');
  const { stdout } = await config({ IDENTITY_KEY: `1:${key}`, SERVER_PORT: '99' }, 'print');
  const lines = stdout.trimEnd().split('\n');
  expect(lines.map((line) => line.split('=')[0])).toEqual(Object.keys(settings));
  expect(lines).toContain('SERVER_PORT=99');
  expect(lines).toContain('IDENTITY_KEY=(secret)');
  expect(lines).toContain('DATABASE_URL=');
  expect(stdout).not.toContain(key.slice(0, 10));
});
