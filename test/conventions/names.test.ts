import { expect, test } from 'vitest';
import { readTree } from './source-tree.ts';

const emptyWords = ['util', 'utils', 'helper', 'helpers', 'common', 'misc', 'manager', 'service'];
const emptyWord = new RegExp(`(^|-)(${emptyWords.join('|')})$`);
const codeFolders = /^(src|workers|bin|migrations|test|bench)\//;

/** A name must say what is inside; a folder's index would hide where things come from. */
function badNames(paths: readonly string[]): string[] {
  return paths
    .filter((path) => codeFolders.test(path) && !path.startsWith('src/xrpc/lexicon/'))
    .flatMap((path) => {
      const parts = path.split('/').map((part) => part.replace(/[.].*$/, ''));
      const empty = parts.find((part) => emptyWord.test(part));
      if (empty !== undefined)
        return [`${path}: "${empty}" says nothing; name the file after the thing or the verb in it`];
      return parts.at(-1) === 'index' ? [`${path}: no barrel files; import from the file that defines the name`] : [];
    });
}

test('every name says what is inside', () => {
  expect(badNames(readTree().map(({ path }) => path))).toEqual([]);
});

test('a drawer, a manager and a barrel are reported', () => {
  const planted = ['src/platform/utils.ts', 'src/domain/group-manager.ts', 'test/helpers/a.ts', 'src/mls/index.ts'];
  expect(badNames(planted)).toHaveLength(planted.length);
  expect(badNames(['src/auth/service-jwt.ts', 'docs/index.md', 'src/xrpc/mls/optIn.ts'])).toEqual([]);
});
