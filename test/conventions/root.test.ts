import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { projectRoot } from './source-tree.ts';

const pages = 'README.md CONTRIBUTING.md CHANGELOG.md LICENSE package.json package-lock.json tsconfig.json';
const folders = 'src workers bin migrations lexicons test bench docs packages .ci';
const dotfiles = '.env.example .gitignore .npmrc .oxlintrc.json .oxfmtrc.json .dependency-cruiser.mjs';
const presentButNeverInGit = '.git .env .data node_modules';
const allowed = new Set([pages, folders, dotfiles, presentButNeverInGit].flatMap((names) => names.split(' ')));

function unexpectedEntries(entries: readonly string[]): string[] {
  return entries
    .filter((entry) => !allowed.has(entry))
    .map(
      (entry) =>
        `${entry} does not belong in the root: a page goes to docs/, a command to bin/, the rest beside its code`,
    );
}

test('the root holds only what every reader needs', () => {
  expect(unexpectedEntries(readdirSync(projectRoot))).toEqual([]);
});

test('a status page in the root is reported', () => {
  expect(unexpectedEntries(['README.md', 'STATUS.md', 'src', 'scripts'])).toHaveLength(2);
});
