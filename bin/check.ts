import { spawn } from 'node:child_process';
import type { SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';

const root = join(import.meta.dirname, '..');

interface Step {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly remedy: string;
}

const format: Step = { name: 'format', command: 'oxfmt', args: ['--check'], remedy: 'Run: npx oxfmt' };

/** Steps that can run at the same time, because they only read the files. */
const readers: readonly Step[] = [
  {
    name: 'lint',
    command: 'oxlint',
    args: ['--type-aware', '--deny-warnings'],
    remedy: 'Run: npx oxlint --type-aware --fix',
  },
  { name: 'types', command: 'tsc', args: ['-p', '.'], remedy: 'Fix the type errors above.' },
  {
    name: 'types of the chat page',
    command: 'tsc',
    args: ['-p', 'packages/chat'],
    remedy: 'Fix the type errors above.',
  },
  { name: 'dead code', command: 'knip', args: [], remedy: 'Remove the unused code, or use it.' },
];

const tests: Step = {
  name: 'tests',
  command: 'vitest',
  args: ['run', '--config', 'test/vitest.config.ts'],
  remedy: 'See the first failure above.',
};

const environment = { ...process.env, PATH: [join(root, 'node_modules', '.bin'), process.env['PATH']].join(delimiter) };

/**
 * Runs one step and prints whether it passed. The output of a failed step is printed too, if the step did not write to
 * the terminal.
 * @returns whether the step passed.
 */
async function passes({ name, command, args, remedy }: Step, options: SpawnOptions): Promise<boolean> {
  const startedMs = performance.now();
  console.log(`check: ${name} ...`);
  const child = spawn(command, args, { cwd: root, ...options });
  const [output, [exitCode]] = await Promise.all([
    Promise.all([child.stdout, child.stderr].map((stream) => (stream === null ? Promise.resolve('') : text(stream)))),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  if (exitCode === 0) {
    console.log(`check: ${name} passed in ${seconds} s`);
    return true;
  }
  process.exitCode = exitCode ?? 1;
  console.error(`${output.join('')}check: ${name} failed after ${seconds} s. ${remedy}`);
  return false;
}

/**
 * Checks the format, then runs the steps that only read, then the tests, and stops after a failure. The exit code is
 * that of a failed step.
 */
async function main(): Promise<void> {
  const startedMs = performance.now();
  const piped: SpawnOptions = { stdio: 'pipe', env: environment };
  if (!(await passes(format, piped))) return;
  if ((await Promise.all(readers.map((step) => passes(step, piped)))).includes(false)) return;
  // The variable lets test/conventions/checkers.test.ts skip the programs that have just run on the same files.
  if (!(await passes(tests, { stdio: 'inherit', env: { ...environment, STATIC_CHECKS: 'passed' } }))) return;
  console.log(`check: all passed in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
}

await main();
