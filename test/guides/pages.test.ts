import { readdir, readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { authErrors } from '#auth/auth-error.ts';
import { bucketSizeBytes } from '#client/conversation/padding.ts';

const root = new URL('../../', import.meta.url);
const read = (path: string): Promise<string> => readFile(new URL(path, root), 'utf8');
const numberOf = (text = ''): number => Number(text.replaceAll(',', ''));

const prefixSizeBytes = 4;

/** Rows of the table of sizes that @nightjar/client contradicts. */
function wrongBuckets(page: string): string[] {
  const rows = [...page.matchAll(/^\| (?:up to|([\d,]+) to) ([\d,]+) +\| ([\d,]+) +\|$/gm)];
  expect(rows).toHaveLength(7);
  return rows
    .filter(([, from = '0', to, bucket]) =>
      [from, to].some((size) => bucketSizeBytes(numberOf(size) + prefixSizeBytes) !== numberOf(bucket)),
    )
    .map(([row]) => row);
}

test('the table of sizes on the page about padding is right', async () => {
  const page = await read('docs/padding.md');
  expect(wrongBuckets(page)).toEqual([]);
  expect(wrongBuckets(page.replace('up to 508', 'up to 509'))).toHaveLength(1);
});

test('the page about tokens says what a client does for each error of a token', async () => {
  const section = (await read('docs/tokens.md')).split('## ').find((part) => part.startsWith('What does a client do'));
  const rows = section?.split('\n').filter((line) => line.startsWith('| `')) ?? [];
  const named = rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name = '']) => name));
  expect(named.toSorted()).toEqual(Object.keys(authErrors).toSorted());
});

interface Schema {
  readonly properties?: Readonly<Record<string, unknown>>;
}
interface Lexicon {
  readonly defs: { readonly main?: { readonly parameters?: Schema; readonly output?: { readonly schema?: Schema } } };
}

function isPaged({ defs: { main } }: Lexicon): boolean {
  const given = main?.parameters?.properties?.['cursor'];
  const returned = main?.output?.schema?.properties?.['cursor'];
  return given !== undefined && returned !== undefined;
}

test('the page about cursors names each method whose responses have the cursor of the next page', async () => {
  const folder = 'lexicons/blue/catbird/mls/';
  const paged: string[] = [];
  for (const file of await readdir(new URL(folder, root))) {
    if (isPaged(JSON.parse(await read(folder + file)) as Lexicon)) paged.push(file.replace('.json', ''));
  }
  const row = /^\| of a page \(([^)]+)\)/m.exec(await read('docs/cursors.md'))?.[1] ?? '';
  expect([...row.matchAll(/`(\w+)`/g)].map(([, name]) => name)).toEqual(paged.toSorted());
});
