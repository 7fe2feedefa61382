import { execFileSync, spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createMetrics } from '#platform/metrics/metrics.ts';

const root = join(import.meta.dirname, '../..');
const rules = join(root, 'docs/deployment/alerts.yml');
const hasPromtool = isInstalled();

function isInstalled(): boolean {
  try {
    execFileSync('promtool', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Runs the unit tests of the alerts on a changed copy of the rules. */
async function testRules(change: (text: string) => string): Promise<{ status: number | null; output: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-alerts-'));
  try {
    await cp(join(import.meta.dirname, 'alerts.test.yml'), join(folder, 'test/ops/alerts.test.yml'));
    await cp(rules, join(folder, 'docs/deployment/alerts.yml'));
    await writeFile(join(folder, 'docs/deployment/alerts.yml'), change(await readFile(rules, 'utf8')));
    const run = spawnSync('promtool', ['test', 'rules', join(folder, 'test/ops/alerts.test.yml')], {
      encoding: 'utf8',
    });
    return { status: run.status, output: run.stdout + run.stderr };
  } finally {
    await rm(folder, { recursive: true });
  }
}

test.skipIf(!hasPromtool)('every alert fires under its condition, and clears afterwards', async () => {
  const { status, output } = await testRules((text) => text);
  expect(output).toContain('SUCCESS');
  expect(status).toBe(0);
});

test.skipIf(!hasPromtool).each([
  ['a job may take twice as long', '> 3 * max by (job)', '> 6 * max by (job)'],
  ['one failure fires the alert', '>= 3', '>= 1'],
  ['delayed delivery does not fire the alert', '> 30', '> 3000'],
  ['overdue rows do not fire the alert', 'group_left () 3 *', 'group_left () 30 *'],
  ['rows are overdue too early', 'group_left () 3 *', 'group_left () 0.5 *'],
])('the tests of the alerts fail when %s', async (_name, from, to) => {
  expect((await testRules((text) => text.replace(from, to))).status).not.toBe(0);
});

test('every alert is tested and uses existing metrics', async () => {
  const text = await readFile(rules, 'utf8');
  const tests = await readFile(join(import.meta.dirname, 'alerts.test.yml'), 'utf8');
  const metrics = await createMetrics({ methods: [], quotas: [], jobs: [] }).read();
  for (const [, alert = ''] of text.matchAll(/alert: (\w+)/g)) expect(tests).toContain(`alertname: ${alert}\n`);
  const names = new Set([...text.matchAll(/nightjar_\w+/g)].map(([name]) => name));
  expect(names.size).toBeGreaterThan(4);
  for (const name of names) expect(metrics).toContain(`# TYPE ${name} `);
});
