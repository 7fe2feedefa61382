import { expect, test } from 'vitest';
import { matchesIn, readTree } from './source-tree.ts';
import type { SourceFile } from './source-tree.ts';

const overclaim = /\banonymous(ly)?\b|\bzero[ -]knowledge\b|\bunbreakable\b|\bmilitary[ -]grade\b/i;
/** Compares with files that lie beside the project, and is skipped where they do not. */
const readsBeside = 'test/contract/reference-lexicons.test.ts';
const outsidePath = new RegExp([['', 'work', ''].join('/'), ['..', 'shared(?![-\\w.])'].join('/')].join('|'));

function badWords(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => [
    ...(/^(README[.]md|docs\/)/.test(file.path)
      ? matchesIn(file, overclaim, 'say exactly what who can see; see the threat model')
      : []),
    ...(file.path === readsBeside
      ? []
      : matchesIn(file, outsidePath, 'a path outside the repository; bring the fact in or leave it out')),
  ]);
}

test('pages promise only what holds, and point only inside the repository', () => {
  expect(badWords(readTree())).toEqual([]);
});

test('a claim too large and a path outside are reported', () => {
  const planted: SourceFile[] = [
    { path: 'README.md', text: 'Messages are Anonymous.' },
    { path: 'docs/privacy.md', text: 'A zero-knowledge server.' },
    { path: 'src/server/app.ts', text: `// see ${['', 'work', 'main'].join('/')}` },
    { path: 'docs/a.md', text: `[design](${['..', 'shared', 'design.md'].join('/')})` },
  ];
  expect(badWords(planted)).toHaveLength(planted.length);
});
