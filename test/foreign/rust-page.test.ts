import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';

const read = (path: string): Promise<string> => readFile(new URL(path, import.meta.url), 'utf8');
const withoutLayout = (code: string): string => code.replaceAll(/\s+/g, ' ').trim();

interface CodeBlock {
  readonly file: string;
  readonly code: string;
}

function blocksOf(page: string): CodeBlock[] {
  const blocks = page.matchAll(/```rust\n\/\/ (\S+)\n([^]*?)```/g);
  return [...blocks].map(([, file = '', code = '']) => ({ file, code }));
}

async function blocksThatDiffer(page: string): Promise<CodeBlock[]> {
  const differ = [];
  for (const block of blocksOf(page)) {
    const source = withoutLayout(await read(`src/${block.file}`));
    if (!source.includes(withoutLayout(block.code))) differ.push(block);
  }
  return differ;
}

test('the code on the page for clients in Rust is in the program', async () => {
  const page = await read('../../docs/rust.md');
  expect(blocksOf(page)).toHaveLength(page.split('```rust').length - 1);
  expect(await blocksThatDiffer(page)).toEqual([]);
  expect(await blocksThatDiffer(page.replace('TOKEN_LIFETIME_SECONDS', '300'))).toHaveLength(1);
});
