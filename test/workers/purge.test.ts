import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { retentionClasses, retentionClassNames } from '#domain/retention/retention-classes.ts';
import { acquireLease } from '#jobs/leases/acquire-lease.ts';
import { systemClock } from '#platform/clock.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { insertExpiringClasses } from '../support/postgres/expiring-classes.ts';
import { plantRows } from '../support/postgres/expiring-rows.ts';
import { childEnvironment } from '../support/processes/child-environment.ts';
import { hasTerminals } from '../support/processes/terminal.ts';

const adminScript = join(import.meta.dirname, '../../bin/admin.ts');
const identityKey = newKeyRingText();
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 2 });
  await plantRows(database.sql, 'expired', 20);
  await insertExpiringClasses(database.sql);
});
afterAll(() => database.close());

function environment(): NodeJS.ProcessEnv {
  return { ...childEnvironment, DATABASE_URL: database.url, IDENTITY_KEY: identityKey, TERM: 'xterm' };
}

async function admin(...args: string[]): Promise<{ code: number; lines: Record<string, unknown>[]; stderr: string }> {
  const parse = (stdout: string) =>
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  try {
    const done = await promisify(execFile)(process.execPath, [adminScript, ...args], { env: environment() });
    return { code: 0, lines: parse(done.stdout), stderr: done.stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, lines: parse(stdout), stderr };
  }
}

async function isLockWaiting(): Promise<boolean> {
  const rows = await database.sql`SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'reports'::regclass`;
  return rows.length > 0;
}

async function actionsTaken(): Promise<string[]> {
  const rows = await database.sql<{ action: string; subject: string }[]>`
    SELECT action, subject FROM operator_actions WHERE action = 'purge' ORDER BY action_no`;
  return rows.map(({ action, subject }) => `${action} ${subject}`);
}

test('retention show lists every class with its settings, its first row and since when it is overdue', async () => {
  const { code, lines } = await admin('retention', 'show');
  expect(code).toBe(0);
  expect(lines.map((line) => line['class'])).toEqual(retentionClassNames);
  const messages = lines.find((line) => line['class'] === 'messages');
  expect(messages).toMatchObject({
    settings: { MESSAGE_TTL_DAYS: 30 },
    job: 'compact-messages',
    tableRowsEstimate: 7,
    oldest: '2020-01-01T00:00:00.000Z',
    overdueSince: '2020-02-04T00:00:00.000Z',
  });
  expect(lines.find((line) => line['class'] === 'welcome-messages')).toMatchObject({
    oldest: null,
    overdueSince: null,
  });
});

test(
  'purge --dry-run counts what purge then removes and changes nothing, and purge is recorded as an operator action',
  { timeout: 20_000 },
  async () => {
    const counted = await admin('purge', '--dry-run');
    expect(counted.lines.map((line) => line['class'])).toEqual(retentionClassNames);
    expect(counted.lines.every((line) => Number(line['rows']) > 0)).toBe(true);
    expect((await admin('purge', '--dry-run')).lines).toEqual(counted.lines);
    expect(await actionsTaken()).toEqual([]);

    const purged = await admin('purge');
    expect(purged.code).toBe(0);
    for (const { job, removed, removedSizeBytes } of purged.lines) {
      const ofJob = counted.lines.filter((line) => line['job'] === job);
      expect({ job, removed }).toEqual({ job, removed: ofJob.reduce((sum, line) => sum + Number(line['rows']), 0) });
      const sizes = ofJob.map((line) => Number(line['sizeBytes'] ?? 0));
      expect({ job, removedSizeBytes }).toEqual({ job, removedSizeBytes: sizes.reduce((a, b) => a + b, 0) });
    }
    const jobs = Object.values(retentionClasses).map(({ job }) => job);
    expect(await actionsTaken()).toEqual(purged.lines.map(({ job }) => `purge ${String(job)}`));
    expect(new Set(purged.lines.map(({ job }) => job))).toEqual(new Set(jobs));
    expect((await admin('purge', '--dry-run')).lines.filter((line) => line['rows'] !== 0)).toEqual([]);
  },
);

test('a job that another worker is running is skipped, and the others run', { timeout: 20_000 }, async () => {
  await acquireLease(database.sql, { job: 'clean-invites', leaseMs: 60_000 });
  const { code, lines, stderr } = await admin('purge');
  expect(code).toBe(1);
  expect(stderr).toContain('Not done: clean-invites.');
  expect(lines.filter((line) => 'notRun' in line)).toEqual([{ job: 'clean-invites', notRun: 'busy' }]);
  expect(lines.length).toBeGreaterThan(5);
});

test.skipIf(!hasTerminals)('on a terminal a progress bar is shown, followed by text', { timeout: 20_000 }, async () => {
  const line = `stty cols 120; ${process.execPath} ${adminScript} purge --dry-run`;
  // A lock on a table delays the command, so that the bar is drawn.
  const holder = await database.sql.reserve();
  await holder`BEGIN`;
  await holder`LOCK TABLE reports IN ACCESS EXCLUSIVE MODE`;
  const done = promisify(execFile)('script', ['-qec', line, '/dev/null'], { env: environment() });
  for (let attempt = 0; attempt < 300 && !(await isLockWaiting()); attempt++) await systemClock.sleep(50);
  await systemClock.sleep(500);
  await holder`COMMIT`;
  holder.release();
  const { stdout } = await done;
  expect(stdout).toContain('What the jobs would remove now');
  expect(stdout).toContain('━');
  expect(stdout).toMatch(/messages +\d+, \d+ bytes\r?$/m);
  expect(stdout).not.toContain('{');
});
