import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

export const projectRoot = join(import.meta.dirname, '../..');

/** One text file of the project; `path` is relative to the root, with forward slashes. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

const notOurs = new Set(['node_modules', '.git', '.data', '.env', 'coverage', 'dist']);

/** Every file of the project that a person or a generator of ours wrote. */
export function readTree(): SourceFile[] {
  return readdirSync(projectRoot)
    .filter((entry) => !notOurs.has(entry))
    .flatMap((entry) => filesBelow(entry))
    .map((path) => ({ path, text: readFileSync(join(projectRoot, path), 'utf8') }));
}

function filesBelow(path: string): string[] {
  const stats = statSync(join(projectRoot, path), { throwIfNoEntry: false });
  if (stats?.isDirectory() !== true) return stats?.isFile() === true ? [path] : [];
  return readdirSync(join(projectRoot, path))
    .filter((entry) => !notOurs.has(entry))
    .flatMap((entry) => filesBelow(`${path}/${entry}`));
}

/** TypeScript without its comments, line numbers kept. */
export function withoutComments(text: string): string {
  return text
    .replaceAll(/\/\*[\s\S]*?\*\//g, (comment) => comment.replaceAll(/[^\n]/g, ' '))
    .replaceAll(/(^|[\s;{}(,])\/\/[^\n]*/g, '$1');
}

/** `path:line: what` for every match of `pattern` in `file`. */
export function matchesIn(file: SourceFile, pattern: RegExp, what: string): string[] {
  return file.text
    .split('\n')
    .flatMap((line, index) => (pattern.test(line) ? [`${file.path}:${index + 1}: ${what}`] : []));
}
