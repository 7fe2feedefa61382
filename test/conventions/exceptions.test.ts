import { expect, test } from 'vitest';
import { matchesIn, readTree } from './source-tree.ts';
import type { SourceFile } from './source-tree.ts';

/** Exceptions from lint rules today; this number may only fall. */
const exceptionsMax = 10;

// Put together, so that this file does not report itself.
const exception = new RegExp(['oxlint', 'eslint'].map((tool) => `${tool}-disable`).join('|'));
const withReason = new RegExp(`${exception.source.replaceAll('disable', 'disable(-next)?-line')}`);
const typeEscape = new RegExp(['ignore', 'nocheck'].map((word) => `@ts-${word}`).join('|'));
const expectedError = new RegExp(`@ts-expect-error(?! [-:] \\S)`);

function exceptions(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => matchesIn(file, exception, 'an exception'));
}

function unexplained(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => [
    ...exceptionLines(file).map(
      (line) => `${file.path}: give one line an exception, and its reason after " -- ": ${line}`,
    ),
    ...matchesIn(file, typeEscape, 'correct the type, or expect the error and say why'),
    ...matchesIn(file, expectedError, 'say why the error is expected: "@ts-expect-error - reason"'),
  ]);
}

function exceptionLines({ text }: SourceFile): string[] {
  return text.split('\n').filter((line) => exception.test(line) && !(withReason.test(line) && / -- \S/.test(line)));
}

const code = (): SourceFile[] =>
  readTree().filter(({ path }) => path.endsWith('.ts') && !/^src\/xrpc\/lexicon\/|conventions\/exceptions/.test(path));

test('every exception from a lint rule covers one line and gives its reason there', () => {
  expect(unexplained(code())).toEqual([]);
});

test('exceptions do not grow', () => {
  expect(exceptions(code()).length, exceptions(code()).join('\n')).toBeLessThanOrEqual(exceptionsMax);
});

test('an exception without a reason, or for a whole file, is reported', () => {
  const planted = [
    '// oxlint-disable-next-line no-eval',
    '/* eslint-disable no-eval -- all of it */',
    '// @ts-ignore',
    '// @ts-expect-error',
  ].map((text) => ({ path: 'src/server/app.ts', text }));
  expect(planted.filter((file) => unexplained([file]).length === 0)).toEqual([]);
  expect(
    unexplained([{ path: 'src/server/app.ts', text: '// oxlint-disable-next-line no-eval -- reads a trusted file' }]),
  ).toEqual([]);
});
