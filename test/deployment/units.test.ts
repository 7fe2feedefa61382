import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { settings } from '#platform/config/settings.ts';
import { projectRoot } from '../conventions/source-tree.ts';
import { hasTools, readUnit, unitPaths } from './unit-file.ts';

const units = Object.entries(unitPaths);
const page = readFileSync(join(projectRoot, 'docs/deployment.md'), 'utf8').replaceAll('\\|', '|');

/** The highest allowed exposure, in tenths, the unit of systemd-analyze. */
const exposureTenthsMax = 20;

describe.skipIf(!hasTools('systemd-analyze'))('systemd-analyze (skipped where it is missing)', () => {
  test.for(units)('%s: exposure is at most 2.0, and the page gives the reason for each remaining row', ([, path]) => {
    const args = ['security', '--offline=true', `--threshold=${exposureTenthsMax}`, '--no-pager', path];
    const { status, stdout } = spawnSync('systemd-analyze', args, { encoding: 'utf8', env: { LANG: 'C.UTF-8' } });
    const [, exposure] = /Overall exposure level for .*: (\d+[.]\d)/.exec(stdout) ?? [];
    expect(Number(exposure), stdout).toBeLessThanOrEqual(exposureTenthsMax / 10);
    expect(status).toBe(0);
    const rows = [...stdout.matchAll(/^✗ (\S+)/gm)].map(([, row]) => row ?? '');
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.filter((row) => !page.includes(`\`${row}\``))).toEqual([]);
  });

  test.for(units)('%s: systemd reports no error except programs that are not installed here', ([, path]) => {
    const { stderr } = spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' });
    expect(stderr.split('\n').filter((line) => line !== '' && !line.includes('is not executable'))).toEqual([]);
  });
});

describe.for(units)('the unit of the %s', ([role, path]) => {
  const unit = readUnit(path);

  test('runs the same command as the npm script, without npm', () => {
    const { scripts } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const [exec = ''] = unit.get('ExecStart') ?? [];
    expect(scripts[role]).toContain(exec.replace(/^\S+ /, ''));
  });

  test('does not restart after exit code 78, and allows more time to stop than the service needs', () => {
    expect(unit.get('RestartPreventExitStatus')).toEqual(['78']);
    const stopMs = Number(unit.get('TimeoutStopSec')) * 1_000;
    expect(stopMs).toBeGreaterThan(Number(settings.SHUTDOWN_TIMEOUT_MS.fallback) * 2);
  });

  test('passes secrets as credentials, under names that the service reads', () => {
    const credentials = (unit.get('LoadCredential') ?? []).map((text) => text.split(':')[0]);
    const files = (unit.get('Environment') ?? []).filter((text) => text.includes('%d/'));
    expect(files.map((text) => text.replace(/^.*%d\//, ''))).toEqual(credentials);
    for (const text of files) {
      const name = text.replace(/_FILE=.*$/, '');
      expect(settings).toHaveProperty([name, 'secret'], true);
    }
  });
});
