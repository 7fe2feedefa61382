import { readFile } from 'node:fs/promises';

/** The files of docs/test-vectors. */
export type VectorFileName = 'cursors' | 'frames' | 'mls' | 'padding' | 'tokens';

/** Reads one of them. */
export async function readVectors<File>(name: VectorFileName): Promise<File> {
  const text = await readFile(new URL(`../../docs/test-vectors/${name}.json`, import.meta.url), 'utf8');
  return JSON.parse(text) as File;
}
