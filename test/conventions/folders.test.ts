import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { readTree } from './source-tree.ts';
import type { SourceFile } from './source-tree.ts';

const readmeLinesMax = 10;
const filesMax = 16;
/** Folders with one file for each method of the API. */
const oneFilePerMethod = /^src\/xrpc\/mls$/;
const inSource = ({ path }: SourceFile): boolean => path.startsWith('src/') && !path.startsWith('src/xrpc/lexicon/');

/** What is wrong with folders of `src`. */
function folderProblems(files: readonly SourceFile[]): string[] {
  const source = files.filter(inSource);
  return [...new Set(source.map(({ path }) => dirname(path)))].flatMap((folder) => {
    const inFolder = source.filter(({ path }) => dirname(path) === folder);
    const readme = inFolder.find(({ path }) => path.endsWith('/README.md'));
    const code = inFolder.filter(({ path }) => path.endsWith('.ts') && !path.endsWith('.test.ts'));
    return [
      ...(readme === undefined ? [`${folder} has no README.md: say what it is for and where to start reading`] : []),
      ...(readme !== undefined && readme.text.trimEnd().split('\n').length > readmeLinesMax
        ? [`${folder}/README.md has more than ${readmeLinesMax} lines`]
        : []),
      ...(code.length > filesMax && !oneFilePerMethod.test(folder)
        ? [`${folder} has ${code.length} files: move those that belong together into a folder`]
        : []),
    ];
  });
}

test('each folder of src has a README of at most ten lines, and few enough files to read their names', () => {
  expect(folderProblems(readTree())).toEqual([]);
});

test('a folder without a README, a long README and a full folder are reported', () => {
  const file = (path: string, text = ''): SourceFile => ({ path, text });
  const full = Array.from({ length: filesMax + 1 }, (_, index) => file(`src/full/file-${index}.ts`));
  const planted = [
    file('src/without/a.ts'),
    file('src/long/README.md', 'line\n'.repeat(readmeLinesMax + 1)),
    file('src/full/README.md', 'Short.'),
    ...full,
  ];
  expect(folderProblems(planted).map((problem) => problem.split(/[ /]/)[1])).toEqual(['without', 'long', 'full']);
});
