import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { acceptUndefined } from './accept-undefined.ts';

/**
 * Returns the TypeScript modules that `lex build` generates from `lexiconsFolder`, by path relative to the output
 * folder. Imports end in `.ts`, because Node runs the sources directly.
 * @throws Error with the output of `lex` when a lexicon is invalid.
 */
export async function lexiconModules(projectRoot: string, lexiconsFolder: string): Promise<Map<string, string>> {
  if (!(await hasLexicons(lexiconsFolder))) return new Map();
  const outFolder = await mkdtemp(join(tmpdir(), 'nightjar-lexicon-'));
  try {
    const lex = join(projectRoot, 'node_modules/@atproto/lex/bin/lex');
    const folders = ['--lexicons', lexiconsFolder, '--out', outFolder, '--clear'];
    const options = ['--lib', '@atproto/lex-schema', '--import-ext', '.ts', '--no-default-export'];
    await promisify(execFile)(process.execPath, [lex, 'build', ...folders, ...options]);
    const modules = await readFolder(outFolder);
    return new Map([...modules].map(([path, source]) => [path, acceptUndefined(source)]));
  } finally {
    await rm(outFolder, { recursive: true, force: true });
  }
}

async function hasLexicons(folder: string): Promise<boolean> {
  const entries = await readdir(folder, { recursive: true }).catch(() => []);
  return entries.some((entry) => entry.endsWith('.json'));
}

/** Returns the text of every file below `folder` by relative path, and none when the folder does not exist. */
export async function readFolder(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = new Map<string, string>();
  for (const entry of entries.filter((candidate) => candidate.isFile())) {
    const path = join(entry.parentPath, entry.name);
    files.set(path.slice(folder.length + 1), await readFile(path, 'utf8'));
  }
  return files;
}
