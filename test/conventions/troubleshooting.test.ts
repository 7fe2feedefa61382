import { expect, test } from 'vitest';
import { authErrors } from '#auth/auth-error.ts';
import { readTree } from './source-tree.ts';
import type { SourceFile } from './source-tree.ts';

const source = readTree();
const page = source.find(({ path }) => path === 'docs/troubleshooting.md')?.text ?? '';

/** Files whose text an operator gets to read when the service refuses to start. */
function refusing(files: readonly SourceFile[]): SourceFile[] {
  return files.filter(
    ({ path, text }) =>
      /^(src|workers)\/(?!.*[.]test[.]ts$)/.test(path) &&
      (/new (ConfigError|EmbeddedPostgresError|DataDirBusyError|KeyRingError)\(/.test(text) ||
        /^src\/platform\/.*\bproblem/s.test(`${path} ${text}`) ||
        /^src\/(platform\/key-text|operator-message)[.]ts$/.test(path)),
  );
}

/** Every text of a file that is a sentence, without the comments. */
function sentencesIn({ path, text }: SourceFile): string[] {
  const code = text.replaceAll(/\/\*.*?\*\//gs, '').replaceAll(/^\s*\/\/.*$/gm, '');
  return [...code.matchAll(/'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`/g)]
    .map(([, single, double, template]) => single ?? double ?? template ?? '')
    .filter((each) => /[\w)'"}][.]( |$)/.test(each) && each.split(' ').length > 3 && !path.endsWith('settings.ts'));
}

/** What the page quotes; parts that change are written as an ellipsis. */
function quotesIn(text: string): string[][] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, quote = '']) =>
    quote
      .split('…')
      .map((part) => part.trim())
      .filter((part) => part.length > 3),
  );
}

const isQuoted = (sentence: string, quotes: readonly string[][]): boolean =>
  quotes.some((parts) => parts.join('').length >= 8 && parts.every((part) => sentence.includes(part)));

function unexplained(files: readonly SourceFile[], text: string): string[] {
  const quotes = quotesIn(text);
  return refusing(files)
    .flatMap((file) => sentencesIn(file).map((sentence) => `${file.path}: ${sentence}`))
    .filter((sentence) => !isQuoted(sentence, quotes));
}

test('the page quotes every message with which the service refuses to start', () => {
  expect(refusing(source).length).toBeGreaterThan(12);
  expect(unexplained(source, page)).toEqual([]);
});

test('the page has every refusal of a token', () => {
  const names = [...Object.keys(authErrors), 'BadTicket', 'UnknownAddress', 'RateLimitExceeded', 'ServiceUnavailable'];
  expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});

test('a message that the page does not have is noticed', () => {
  const text = "throw new ConfigError(['NEW_SETTING: is not what it should be. Change it.']);";
  const path = 'src/storage/new.ts';
  expect(unexplained([{ path, text }], page)).toEqual([`${path}: NEW_SETTING: is not what it should be. Change it.`]);
});

test('README leads to the page', () => {
  expect(source.find(({ path }) => path === 'README.md')?.text).toContain('docs/troubleshooting.md');
});
