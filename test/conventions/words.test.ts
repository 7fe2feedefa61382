import { expect, test } from 'vitest';
import { exceptions, fixedNames, retiredWords } from './retired-words.ts';
import { matchesIn, readTree } from './source-tree.ts';
import type { SourceFile } from './source-tree.ts';

const overclaim = /\banonymous(ly)?\b|\bzero[ -]knowledge\b|\bunbreakable\b|\bmilitary[ -]grade\b/i;
/** Compares with files beside the project, and is skipped without them. */
const readsBeside = 'test/contract/reference-lexicons.test.ts';
const outsidePath = new RegExp([['', 'work', ''].join('/'), ['..', 'shared(?![-\\w.])'].join('/')].join('|'));

function badWords(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => [
    ...(/^(README[.]md|docs\/)/.test(file.path)
      ? matchesIn(file, overclaim, 'say exactly who can see what; see the threat model')
      : []),
    ...(file.path === readsBeside
      ? []
      : matchesIn(file, outsidePath, 'a path outside the repository; add the fact here or leave it out')),
  ]);
}

test('documentation promises only what is tested, and links only to files of the repository', () => {
  expect(badWords(readTree())).toEqual([]);
});

test('an exaggerated claim and a path outside the repository are reported', () => {
  const planted: SourceFile[] = [
    { path: 'README.md', text: 'Messages are Anonymous.' },
    { path: 'docs/privacy.md', text: 'A zero-knowledge server.' },
    { path: 'src/server/app.ts', text: `// see ${['', 'work', 'main'].join('/')}` },
    { path: 'docs/a.md', text: `[design](${['..', 'shared', 'design.md'].join('/')})` },
  ];
  expect(badWords(planted)).toHaveLength(planted.length);
});

const fixedName = new RegExp(fixedNames.join('|'), 'g');

/** Lower-case text in which the parts of `camelCase`, `snake_case` and `kebab-case` are separate words. */
function wordsOf(text: string): string {
  return text
    .replaceAll(fixedName, '')
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replaceAll(/[_\-\s*/]+/g, ' ')
    .toLowerCase();
}

/** `path: "… words …": what to write` for every retired word in the names and texts of `files`. */
function retiredWordsIn(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) => {
    const words = wordsOf(`${path.replaceAll('.', ' ')} ${text}`);
    return retiredWords.flatMap(({ pattern, instead }) =>
      [...words.matchAll(new RegExp(pattern, 'g'))]
        .filter(({ 0: found }) => !exceptions.some((each) => each.path.test(path) && each.word.test(found)))
        .map(({ index }) => `${path}: "${words.slice(Math.max(0, index - 30), index + 40)}": write ${instead}`),
    );
  });
}

const ownTexts = ({ path }: SourceFile): boolean =>
  /[.](ts|mjs|js|md|json|yml|yaml|rs|toml|service|conf|css|html)$|Caddyfile$|[.]env[.]example$/.test(path) &&
  !/^src\/xrpc\/lexicon\/|^package-lock[.]json$|^bench\/results\/|\/corpus\//.test(path);

test('names, comments, documentation and messages use the words of the field', () => {
  expect(retiredWordsIn(readTree().filter(ownTexts))).toEqual([]);
});

test.for(retiredWords.flatMap(({ examples }) => examples))('the retired word in "%s" is reported', (example) => {
  const kinds: SourceFile[] = [
    { path: 'src/domain/a.ts', text: `/** Does ${example}. */` },
    { path: 'docs/a.md', text: `A page about ${example} of it.` },
    { path: `src/${example.replaceAll(/[^A-Za-z]+/g, '-')}/a.ts`, text: '' },
  ];
  expect(kinds.filter((file) => retiredWordsIn([file]).length === 0)).toEqual([]);
});

test('every fixed name is used', () => {
  const texts = readTree()
    .filter(ownTexts)
    .map(({ path, text }) => `${path} ${text}`)
    .filter((text) => !text.startsWith('test/conventions/retired-words.ts'));
  expect(fixedNames.filter((name) => !texts.some((text) => text.includes(name)))).toEqual([]);
});

test('every exception is needed', () => {
  const files = readTree().filter(ownTexts);
  const unused = exceptions.filter(
    ({ path, word }) =>
      !files.some(
        (file) =>
          path.test(file.path) &&
          retiredWords.some(({ pattern }) =>
            [...wordsOf(`${file.path} ${file.text}`).matchAll(new RegExp(pattern, 'g'))].some(({ 0: found }) =>
              word.test(found),
            ),
          ),
      ),
  );
  expect(unused).toEqual([]);
});
