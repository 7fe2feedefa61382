import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { authErrors } from '#auth/auth-error.ts';
import { domainErrors } from '#domain/domain-error.ts';
import { readerPhrases, refusalReasons } from '#domain/refusal-reasons.ts';
import { edgeErrors } from '#edge/edge-error.ts';
import { generalErrors } from '#xrpc/response/general-error.ts';
import { requestProblems } from '#xrpc/input/request-problems.ts';
import { placeTexts, readerTexts } from '../../bin/codegen/error-pages.ts';
import { projectRoot, readTree } from './source-tree.ts';

const shown = (text: string): string => text.replaceAll('__proto__', '`__proto__`').replaceAll('<token>', '`<token>`');

test('every name and every text of a refusal is on the page of errors', async () => {
  const page = await readFile(join(projectRoot, 'docs/errors.md'), 'utf8');
  const tables = [domainErrors, generalErrors, authErrors, requestProblems, ...Object.values(refusalReasons)];
  const texts = [
    ...tables.flatMap((table) => Object.values(table) as string[]),
    ...Object.values(edgeErrors).map(([, text]) => text),
    ...Object.values(readerPhrases).flatMap(({ lead, remedy }) => [lead, remedy]),
    ...(await readerTexts(join(projectRoot, 'src/mls'))),
    ...(await placeTexts(projectRoot)).map(({ text }) => text),
  ];
  expect(texts.length).toBeGreaterThan(200);
  expect(texts.filter((text) => !page.includes(shown(text)))).toEqual([]);
  const names = [domainErrors, generalErrors, authErrors, edgeErrors].flatMap((table) => Object.keys(table));
  expect(names.filter((name) => !page.includes(`- \`${name}\` (`))).toEqual([]);
});

test('the texts of the readers of MLS are all found, or the page cannot be made', async () => {
  const isReader = ({ path }: { path: string }): boolean => /^src\/mls\/.*(?<![.]test)[.]ts$/.test(path);
  const code = readTree()
    .filter(isReader)
    .map(({ text }) => text);
  const texts = await readerTexts(join(projectRoot, 'src/mls'));
  const written = code.flatMap((text) => [...text.matchAll(/MlsFormatError\(\s*'([^']+)'/g)].map(([, found]) => found));
  expect(written.length).toBeGreaterThan(30);
  expect(written.filter((text) => text !== undefined && !texts.includes(text))).toEqual([]);
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-readers-'));
  await writeFile(join(folder, 'planted.ts'), 'const f = () => { throw new MlsFormatError(String(1)); };');
  await expect(readerTexts(folder)).rejects.toThrow('planted.ts');
});
