import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jobNames } from '#jobs/catalogue.ts';
import { acquireLease } from '#jobs/leases/acquire-lease.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { childEnvironment } from '../support/processes/child-environment.ts';

const root = join(import.meta.dirname, '../..');
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 2 });
});
afterAll(() => database.close());

async function admin(...args: string[]): Promise<Record<string, unknown>[]> {
  const env = { ...childEnvironment, DATABASE_URL: database.url };
  const command = [join(root, 'bin/admin.ts'), 'jobs', ...args];
  const { stdout } = await promisify(execFile)(process.execPath, command, { cwd: root, env });
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function stateOf(job: string): Promise<unknown> {
  return (await admin('list')).find((row) => row['job'] === job)?.['state'];
}

test('every job is listed with its state, its last success and its next run', async () => {
  await admin('run', 'clean-invites');
  const rows = await admin('list');
  expect(rows.map(({ job }) => job)).toEqual(jobNames);
  expect(rows.find(({ job }) => job === 'clean-invites')).toMatchObject({
    state: 'waiting',
    lastSuccess: expect.stringMatching(/^20\d\d-/) as string,
    next: expect.stringMatching(/T03:27:00/) as string,
  });
  expect(rows.find(({ job }) => job === 'clean-reports')).toMatchObject({ lastSuccess: null });
});

test('no worker acquires the lease of a paused job until it is resumed', async () => {
  const request = { job: 'clean-invites', runAt: new Date(Date.now() + 60_000), leaseMs: 1_000 };
  expect(await admin('pause', 'clean-invites')).toEqual([{ job: 'clean-invites', paused: true }]);
  expect(await stateOf('clean-invites')).toBe('paused');
  expect(await acquireLease(database.sql, request)).toEqual({ refused: 'paused' });
  expect(await admin('resume', 'clean-invites')).toEqual([{ job: 'clean-invites', paused: false }]);
  expect(await acquireLease(database.sql, request)).toHaveProperty('fence');
});

test('retry without a failed run retries nothing, and every command is recorded as an operator action', async () => {
  expect(await admin('retry', 'clean-reports')).toEqual([{ job: 'clean-reports', retried: 0 }]);
  const actions = await database.sql<{ action: string }[]>`SELECT action FROM operator_actions ORDER BY action_no`;
  expect(actions.map(({ action }) => action)).toEqual(['jobs.run', 'jobs.pause', 'jobs.resume', 'jobs.retry']);
});
