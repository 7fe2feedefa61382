import { glob, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { authErrors } from '#auth/auth-error.ts';
import { domainErrors } from '#domain/domain-error.ts';
import { readerPhrases, refusalReasons } from '#domain/refusal-reasons.ts';
import { edgeErrors } from '#edge/edge-error.ts';
import { generalErrors } from '#xrpc/response/general-error.ts';
import { requestProblems } from '#xrpc/input/request-problems.ts';
import { statuses } from '#xrpc/response/statuses.ts';

type Texts = Readonly<Record<string, string>>;

const notice = 'Written by `npm run codegen` from the tables of errors and the parsers of `src/mls`; do not edit.';
const statusByName: Readonly<Record<string, number>> = statuses;
const reasonsByName: Readonly<Record<string, Texts>> = { ...refusalReasons, InvalidRequest: requestProblems };
const phrasesByName: Readonly<Record<string, { readonly lead: string; readonly remedy: string }>> = readerPhrases;
const literal = /^(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")/;
const template = /^`[^`]*`/;

/** Returns the text of docs/errors.md, with every error name and its texts. */
export async function errorPage(projectRoot: string): Promise<string> {
  const readers = await readerTexts(join(projectRoot, 'src/mls'));
  const places = await placeTexts(projectRoot);
  return `${[
    '# Errors',
    '',
    notice,
    '',
    'A refused request gets `{"error": name, "message": text}`. The lexicon of the method declares the name, or the name is in the section',
    'about any request. The text is fixed: it says which rule the request breaks, names the field if there are several, and says what to do.',
    'It contains no data of the request. [The page of each method](api/README.md) lists the names that the method sends.',
    '',
    '## Which errors do methods send?',
    '',
    ...named(domainErrors),
    '## What is wrong with the bytes of an MLS structure?',
    '',
    'These texts replace _reader_ in the texts above. They name the part of the bytes and the rule (RFC 9420). The remedy is always the',
    'same: send the bytes as the MLS library made them, unchanged and complete, in base64 if the field is text.',
    '',
    ...readers.map((text) => `- ${text}`),
    '',
    '## Which errors can any request get?',
    '',
    ...named(generalErrors),
    'A request that breaks a rule of the lexicon gets `InvalidRequest` too: `input.<field>` or `params.<field>`, then `is required`, `must be …` or `must have …`.',
    '',
    '## Which errors can a token get?',
    '',
    ...named(authErrors),
    '## Which errors have a text of their own?',
    '',
    ...places.map(({ name, text }) => `- \`${name}\` (${statusByName[name] ?? ''}): ${text}`),
    '',
    '## Which errors come before the method?',
    '',
    ...Object.entries(edgeErrors).map(([name, [status, text]]) => `- \`${name}\` (${status}): ${text}`),
  ]
    .map((line) => line.replaceAll('__proto__', '`__proto__`').replaceAll('<token>', '`<token>`'))
    .join('\n')}\n`;
}

/** Returns one list entry for each name, with one line for each text of a name that has several. */
function named(texts: Texts): string[] {
  const lines = Object.entries(texts)
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .flatMap(([name, text]) => {
      const reasons = Object.values(reasonsByName[name] ?? {});
      const phrase = phrasesByName[name];
      const byReader = phrase === undefined ? [] : [`${phrase.lead} _reader_ ${phrase.remedy}`];
      const own = [...reasons, ...byReader];
      const head = `- \`${name}\` (${statusByName[name] ?? ''})`;
      return own.length === 0 ? [`${head}: ${text}`] : [`${head}: ${text}`, ...own.map((each) => `  - ${each}`)];
    });
  return [...lines, ''];
}

/**
 * Returns the texts that the files of `folder` pass to MlsFormatError and AppError as literals, as constants, or
 * through the arguments of a function.
 * @throws Error for any other expression, because the page would miss its text.
 */
export async function readerTexts(folder: string): Promise<string[]> {
  const files = (await readdir(folder, { recursive: true })).filter(
    (path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && basename(path) !== 'mls-format-error.ts',
  );
  const found = new Set<string>();
  for (const file of files) {
    const source = await readFile(join(folder, file), 'utf8');
    for (const text of textsOf(file, source)) found.add(text);
  }
  return [...found].toSorted();
}

/**
 * Returns the texts of AppErrors that are literals outside the readers of MLS structures, because no table contains
 * them.
 */
export async function placeTexts(projectRoot: string): Promise<{ name: string; text: string }[]> {
  const found: { name: string; text: string }[] = [];
  for await (const path of glob('src/**/*.ts', { cwd: projectRoot })) {
    if (path.startsWith('src/mls/') || path.endsWith('.test.ts')) continue;
    const source = await readFile(join(projectRoot, path), 'utf8');
    for (const { index, 0: call, 1: name = '' } of source.matchAll(/new AppError\(\s*'(\w+)',\s*(?=['"`])/g)) {
      found.push({ name, text: quoted(source.slice(index + call.length)) ?? unreadable(path, name) });
    }
  }
  return found.toSorted((left, right) => (left.name < right.name ? -1 : 1));
}

function textsOf(file: string, source: string): string[] {
  return [...source.matchAll(/new (?:MlsFormatError\(|AppError\(\s*'\w+',)\s*/g)].flatMap(({ index, 0: call }) => {
    const rest = source.slice(index + call.length);
    const text = quoted(rest);
    if (text !== undefined) return [text];
    const name = /^\w+/.exec(rest)?.[0] ?? '';
    const constant = new RegExp(`const ${name} =\\s*`).exec(source);
    if (constant !== null) return [quoted(source.slice(constant.index + constant[0].length)) ?? unreadable(file, name)];
    return argumentsOfCalls(file, source, index);
  });
}

/** Returns the arguments of every call of the function that contains the position `at`. */
function argumentsOfCalls(file: string, source: string, at: number): string[] {
  const [, name] = [...source.slice(0, at).matchAll(/function (\w+)\(/g)].at(-1) ?? [];
  const calls = [...source.matchAll(new RegExp(`(?<!function )\\b${name ?? ''}\\(\\s*`, 'g'))];
  if (name === undefined || calls.length === 0) return [unreadable(file, name ?? '')];
  return calls.map((call) => quoted(source.slice(call.index + call[0].length)) ?? unreadable(file, name));
}

function quoted(source: string): string | undefined {
  const [found] = literal.exec(source) ?? template.exec(source) ?? [];
  return found
    ?.slice(1, -1)
    .replaceAll(/\$\{[^}]*\}/g, '_reader_')
    .replaceAll(/\\(.)/g, '$1');
}

function unreadable(file: string, name: string): never {
  throw new Error(`${file}: the text of a refusal (${name}) is not a literal, so docs/errors.md cannot list it`);
}
