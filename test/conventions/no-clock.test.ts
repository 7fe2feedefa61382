import { expect, test } from 'vitest';
import { matchesIn, readTree, withoutComments } from './source-tree.ts';
import type { SourceFile } from './source-tree.ts';

const timed = /^(src|workers|migrations)\//;
const exempt = /^src\/platform\/|^src\/xrpc\/lexicon\/|[.]test[.]ts$/;
const forbidden: readonly (readonly [RegExp, string])[] = [
  [
    /\bDate[.]now\b|\bnew Date\(\s*\)|\bDate\(\s*\)|\bperformance[.]now\b/,
    'take a Clock (#platform/clock.ts) and ask it for the time',
  ],
  [/\bMath[.]random\b|\brandomUUID\b/, 'take ids and chance from #platform/ids.ts'],
  [/\bset(Timeout|Interval)\b|\btimers\/promises\b/, 'take a Clock (#platform/clock.ts) and sleep on it'],
];

function hiddenClocks(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => timed.test(path) && path.endsWith('.ts') && !exempt.test(path))
    .map(({ path, text }) => ({ path, text: withoutComments(text) }))
    .flatMap((file) => forbidden.flatMap(([pattern, remedy]) => matchesIn(file, pattern, remedy)));
}

test('time and chance come only from src/platform', () => {
  expect(hiddenClocks(readTree())).toEqual([]);
});

test('a hidden clock is reported with its line', () => {
  const text = [
    '// Date.now() is fine here',
    'const a = Date.now();',
    'const b = new Date(0);',
    'setTimeout(run, 5);',
    'Math.random();',
  ];
  expect(hiddenClocks([{ path: 'src/domain/a.ts', text: text.join('\n') }])).toEqual([
    expect.stringMatching(/^src\/domain\/a[.]ts:2: /),
    expect.stringMatching(/^src\/domain\/a[.]ts:5: /),
    expect.stringMatching(/^src\/domain\/a[.]ts:4: /),
  ]);
  expect(hiddenClocks([{ path: 'bin/a.ts', text: 'Date.now()' }])).toEqual([]);
});
