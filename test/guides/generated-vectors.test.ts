import { readdir, readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { testVectors } from '../../bin/codegen/test-vectors/all-vectors.ts';

const folder = new URL('../../docs/test-vectors/', import.meta.url);

test('the files of docs/test-vectors are those that npm run codegen writes', async () => {
  const written = testVectors();
  const present = (await readdir(folder)).filter((name) => name.endsWith('.json'));
  expect(present.toSorted()).toEqual([...written.keys()].toSorted());
  for (const [name, text] of written) expect((await readFile(new URL(name, folder), 'utf8')) === text, name).toBe(true);
});

test('each file of test vectors has a row in the README of the folder', async () => {
  const readme = await readFile(new URL('README.md', folder), 'utf8');
  expect([...testVectors().keys()].filter((name) => !readme.includes(`| [${name}](${name})`))).toEqual([]);
});
