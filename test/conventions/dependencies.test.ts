import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { projectRoot } from './source-tree.ts';

interface Manifest {
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const directMax = 30;
/** Licences that let everyone run and change the service. */
const permissive = ['MIT', 'Apache-2.0', 'Apache-2.0 OR MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', 'Unlicense'];

function read(path: string): Manifest {
  return JSON.parse(readFileSync(join(projectRoot, path), 'utf8')) as Manifest;
}

function direct({ dependencies, optionalDependencies }: Manifest): string[] {
  return Object.keys({ ...dependencies, ...optionalDependencies }).sort();
}

/** Name, licence, reason and alternative of each row of the page. */
function rowsOf(page: string): string[][] {
  return page
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')))
    .map(([, ...cells]) => cells.slice(0, 4));
}

const rows = rowsOf(readFileSync(join(projectRoot, 'docs/dependencies.md'), 'utf8'));
const names = direct(read('package.json'));

test('docs/dependencies.md has a row for each direct runtime dependency, in order, and for nothing else', () => {
  expect(rows.map(([name]) => name)).toEqual(names);
});

test(`there are at most ${directMax} of them`, () => {
  expect(names.length).toBeLessThanOrEqual(directMax);
});

test('every row has a reason and an alternative', () => {
  expect(rows.filter((row) => row.length !== 4 || row.some((cell) => cell === ''))).toEqual([]);
});

test('every licence is the one of the installed package, and permissive', () => {
  const wrong = rows.filter(([name = '', licence = '']) => {
    // An optional package may not be there.
    const installed = name === 'secp256k1' ? licence : read(`node_modules/${name}/package.json`).license;
    return installed !== licence || !permissive.includes(licence);
  });
  expect(wrong).toEqual([]);
});

test('a row too many, too few or without its reason is noticed', () => {
  const page = '| `pino` | MIT | Logs | Less |\n| `left-pad` | WTFPL |  | Spaces |';
  expect(rowsOf(page)).toEqual([
    ['pino', 'MIT', 'Logs', 'Less'],
    ['left-pad', 'WTFPL', '', 'Spaces'],
  ]);
});
