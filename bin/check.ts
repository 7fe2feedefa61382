import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';

const root = join(import.meta.dirname, '..');

/** The checks of a change, the fastest first. */
const steps = [
  { name: 'format', command: 'oxfmt', args: ['--check'], remedy: 'Run: npx oxfmt' },
  {
    name: 'lint',
    command: 'oxlint',
    args: ['--type-aware', '--deny-warnings'],
    remedy: 'Run: npx oxlint --type-aware --fix',
  },
  { name: 'types', command: 'tsc', args: ['-p', '.'], remedy: 'Fix the type errors above.' },
  { name: 'dead code', command: 'knip', args: [], remedy: 'Remove the unused code, or use it.' },
  {
    name: 'tests',
    command: 'vitest',
    args: ['run', '--config', 'test/vitest.config.ts'],
    remedy: 'See the first failure above.',
  },
] as const;

/** Runs all steps until one fails; the exit code is that of the failed step. */
function main(): void {
  const PATH = [join(root, 'node_modules', '.bin'), process.env['PATH']].join(delimiter);
  const startedMs = performance.now();
  for (const step of steps) {
    const stepStartedMs = performance.now();
    console.log(`check: ${step.name} ...`);
    const { status } = spawnSync(step.command, step.args, {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, PATH },
    });
    const seconds = ((performance.now() - stepStartedMs) / 1000).toFixed(1);
    if (status !== 0) {
      console.error(`check: ${step.name} failed after ${seconds} s. ${step.remedy}`);
      process.exitCode = status ?? 1;
      return;
    }
    console.log(`check: ${step.name} passed in ${seconds} s`);
  }
  console.log(`check: all passed in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
}

main();
