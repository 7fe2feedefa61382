import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jobNames } from '#jobs/catalogue.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { childEnvironment } from '../support/processes/child-environment.ts';

const root = join(import.meta.dirname, '../..');
const identityKey = newKeyRingText();
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 2 });
});
afterAll(() => database.close());

interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function admin(...args: string[]): Promise<CommandResult> {
  const env = { ...childEnvironment, DATABASE_URL: database.url, IDENTITY_KEY: identityKey };
  try {
    const done = await promisify(execFile)(process.execPath, [join(root, 'bin/admin.ts'), ...args], { cwd: root, env });
    return { code: 0, ...done };
  } catch (error) {
    return error as CommandResult;
  }
}

test.each(['compact-messages', 'clean-key-packages'])(
  '%s runs once by a command, without a worker or a queue',
  async (job) => {
    const { code, stdout, stderr } = await admin('jobs', 'run', job);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({ job, removed: 0 });
    const schemas = await database.sql`select 1 from information_schema.schemata where schema_name = 'bullmq'`;
    expect(schemas).toHaveLength(0);
  },
);

test('an unknown job is refused with the names of all jobs', async () => {
  const { code, stderr } = await admin('jobs', 'run', 'compact');
  expect(code).toBe(1);
  expect(stderr.trim()).toBe(`There is no job "compact". The jobs are: ${jobNames.join(', ')}.`);
});

test('a new key is one line that IDENTITY_KEY accepts, and differs each time', async () => {
  const [first, second] = [await admin('key', 'new'), await admin('key', 'new', '--id', '7')];
  expect(parseKeyRing(first.stdout).current.id).toBe(1);
  expect(parseKeyRing(second.stdout).current.id).toBe(7);
  expect(first.stdout.split(':')[1]).not.toBe(second.stdout.split(':')[1]);
  expect((await admin('key', 'new', '--id', '0')).code).toBe(1);
});
