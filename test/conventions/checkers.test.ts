import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { projectRoot } from './source-tree.ts';

/** Exit code and combined output of one of the project's tools, run in `folder`. */
async function runTool(
  folder: string,
  tool: string,
  args: readonly string[],
): Promise<{ exitCode: number; output: string }> {
  const bin = join(projectRoot, 'node_modules/.bin');
  const env = { ...process.env, PATH: [bin, process.env['PATH']].join(delimiter) };
  return await new Promise((resolve) => {
    execFile(join(bin, tool), args, { cwd: folder, env, maxBuffer: 64 * 1_048_576 }, (error, stdout, stderr) => {
      const exitCode = typeof error?.code === 'number' ? error.code : error === null ? 0 : -1;
      resolve({ exitCode, output: `${stdout}${stderr}` });
    });
  });
}

/** `npm run check` has run the same programs on the same files a moment ago. */
const hasPassed = process.env['STATIC_CHECKS'] === 'passed';

describe.skipIf(hasPassed)('the project passes', () => {
  test.for([
    ['oxfmt', ['--check']],
    ['oxlint', ['--type-aware', '--deny-warnings', '--format', 'unix']],
    ['tsc', ['-p', '.']],
    ['tsc', ['-p', 'packages/chat']],
    ['knip', []],
  ] as const)('%s', { timeout: 60_000 }, async ([tool, args]) => {
    const { exitCode, output } = await runTool(projectRoot, tool, args);
    expect(exitCode, output).toBe(0);
  });
});

const lines = (count: number, line: string): string => `${line}\n`.repeat(count);

/** Each file breaks the lint rule that is named beside it; files without a rule are correct. */
const planted: readonly (readonly [path: string, rule: string | undefined, text: string])[] = [
  ['src/mls/fine.ts', undefined, 'export const fine = 1;'],
  [
    'src/xrpc/mls/getEpoch.ts',
    undefined,
    "export { fine as getEpoch } from '../../mls/fine.ts';\nexport const two = 2;",
  ],
  [
    'src/domain/floating.ts',
    'no-floating-promises',
    'async function f(): Promise<void> {}\nexport function g(): void {\n  f();\n}',
  ],
  [
    'src/domain/forgotten-kind.ts',
    'switch-exhaustiveness-check',
    "export function f(kind: 'a' | 'b'): void {\n  switch (kind) {\n    case 'a':\n      return;\n  }\n}",
  ],
  ['src/domain/untyped.ts', 'explicit-module-boundary-types', 'export function f(a: number) {\n  return a;\n}'],
  [
    'src/domain/value-import.ts',
    'consistent-type-imports',
    "import { Fine } from './type.ts';\nexport const f = (a: Fine): Fine => a;",
  ],
  ['src/domain/type.ts', undefined, 'export type Fine = 1;'],
  ['src/domain/any.ts', 'no-explicit-any', 'export const f = (a: any): number => Number(a);'],
  ['src/domain/bang.ts', 'no-non-null-assertion', 'export const f = (a: string | undefined): string => a!;'],
  ['src/domain/circle-a.ts', 'no-cycle', "import { b } from './circle-b.ts';\nexport const a = (): number => b();"],
  ['src/domain/circle-b.ts', 'no-cycle', "import { a } from './circle-a.ts';\nexport const b = (): number => a();"],
  ['src/domain/default.ts', 'no-default-export', 'export default 1;'],
  ['src/domain/barrel.ts', 'no-barrel-file', "export * from './type.ts';"],
  ['src/domain/camelCase.ts', 'filename-case', 'export const a = 1;'],
  // The word is put together so that this file does not carry it.
  ['src/domain/later.ts', 'no-warning-comments', `// ${'TO'}${'DO'}: later\nexport const a = 1;`],
  ['src/domain/too-long.ts', 'max-lines', lines(301, 'export {};')],
  [
    'src/domain/long-function.ts',
    'max-lines-per-function',
    `export function f(): number {\n  let a = 0;\n${lines(60, '  a += 1;')}  return a;\n}`,
  ],
  ['src/domain/many.ts', 'max-params', 'export const f = (a: 1, b: 1, c: 1, d: 1, e: 1): number => a + b + c + d + e;'],
  [
    'src/domain/deep.ts',
    'max-depth',
    'export function f(a: boolean): number {\n  if (a) {\n    if (a) {\n      if (a) {\n        if (a) return 1;\n      }\n    }\n  }\n  return 0;\n}',
  ],
  [
    'src/domain/complex.ts',
    'complexity',
    `export function f(a: number): number {\n${lines(12, '  if (a > 1) return 1;')}  return 0;\n}`,
  ],
  ['src/domain/environment.ts', 'no-process-env', "export const a = process.env['A'];"],
  [
    'src/domain/hidden-environment.ts',
    'no-restricted-imports',
    "import { env } from 'node:process';\nexport const a = env;",
  ],
  ['src/domain/prints.ts', 'no-console', 'console.log(1);\nexport {};'],
  ['test/only.test.ts', 'no-focused-tests', "import { test } from 'vitest';\ntest.only('a', () => {});"],
  ['test/skipped.test.ts', 'no-disabled-tests', "import { test } from 'vitest';\ntest.skip('a', () => {});"],
];

const lintReport = z.object({ diagnostics: z.array(z.object({ filename: z.string(), code: z.string() })) });

describe('a planted violation is reported', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nightjar-checkers-'));
  let found: { filename: string; code: string }[] = [];

  function plant(path: string, text: string): void {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text.endsWith('\n') ? text : `${text}\n`);
  }

  beforeAll(async () => {
    for (const config of ['.oxlintrc.json', '.oxfmtrc.json', 'tsconfig.json', 'package.json']) {
      copyFileSync(join(projectRoot, config), join(folder, config));
    }
    symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
    for (const [path, , text] of planted) plant(path, text);
    const { output } = await runTool(folder, 'oxlint', ['--type-aware', '--format', 'json']);
    found = lintReport.parse(JSON.parse(output)).diagnostics;
  }, 30_000);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.for(planted.filter(([, rule]) => rule !== undefined))('lint: %s breaks %s', ([path, rule]) => {
    expect(found.filter(({ filename, code }) => filename === path && code.includes(`(${rule})`))).not.toEqual([]);
  });

  test('lint: correct files are left alone', () => {
    const correct = planted.filter(([, rule]) => rule === undefined).map(([path]) => path);
    expect(found.filter(({ filename }) => correct.includes(filename))).toEqual([]);
  });

  test('format: double quotes', { timeout: 20_000 }, async () => {
    plant('src/format/quotes.ts', 'export const a = "b"');
    const { exitCode, output } = await runTool(folder, 'oxfmt', ['--check', 'src/format']);
    expect({ exitCode, output }).toEqual({ exitCode: 1, output: expect.stringContaining('quotes.ts') });
  });

  test('types: a value that may be absent', { timeout: 20_000 }, async () => {
    plant('types/absent.ts', 'const a: string[] = [];\nexport const b: string = a[0];');
    plant('types/tsconfig.json', '{ "extends": "../tsconfig.json", "include": ["."] }');
    const { exitCode, output } = await runTool(folder, 'tsc', ['-p', 'types']);
    expect({ exitCode, output }).toEqual({ exitCode: expect.any(Number), output: expect.stringContaining('TS2322') });
    expect(exitCode).not.toBe(0);
  });

  test('dead code: a file and an export that nobody uses', { timeout: 20_000 }, async () => {
    plant('src/main.ts', "import { used } from './used.ts';\nprocess.exitCode = used;");
    plant('src/used.ts', 'export const used = 0;\nexport const unused = 1;');
    const { exitCode, output } = await runTool(folder, 'knip', ['--include', 'files,exports', '--reporter', 'compact']);
    expect(exitCode).not.toBe(0);
    expect(output).toContain('src/mls/fine.ts');
    expect(output).toMatch(/src\/used[.]ts: unused\b/);
    expect(output).not.toMatch(/: used\b/);
  });

  test('npm run check stops at the first step that fails', { timeout: 20_000 }, async () => {
    plant('bin/check.ts', readFileSync(join(projectRoot, 'bin/check.ts'), 'utf8'));
    const { exitCode, output } = await runTool(folder, 'node', ['bin/check.ts']);
    expect(exitCode).toBe(1);
    expect(output).toContain('check: format failed');
    expect(output).not.toContain('check: lint');
  });
});
