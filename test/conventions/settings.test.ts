import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { settings } from '#platform/config/settings.ts';
import { envExample, settingsPage } from '../../bin/codegen/settings-pages.ts';
import { projectRoot, readTree, withoutComments } from './source-tree.ts';
import type { SourceFile } from './source-tree.ts';

const names = Object.keys(settings);

function unusedSettings(files: readonly SourceFile[]): string[] {
  const code = files
    .filter(
      ({ path }) => /^(src|workers|bin)\/.*[.]ts$/.test(path) && !/settings(-pages)?[.]ts$|[.]test[.]ts$/.test(path),
    )
    .map(({ text }) => withoutComments(text))
    .join('\n');
  return names
    .filter((name) => !new RegExp(`\\b${name}\\b`).test(code))
    .map((name) => `${name}: nothing reads it; use it or remove it from src/platform/config/settings.ts`);
}

test('what is generated is up to date; otherwise run npm run codegen', { timeout: 20_000 }, async () => {
  const check = promisify(execFile)(process.execPath, [join(projectRoot, 'bin/codegen.ts'), '--check']);
  await expect(check.then(() => 'up to date')).resolves.toBe('up to date');
});

test('every setting is in .env.example and on the settings page', () => {
  const listed = [...envExample().matchAll(/^#([A-Z_]+)=/gm)].map(([, name]) => name);
  expect(new Set(listed)).toEqual(new Set(names));
  expect(names.filter((name) => !settingsPage().includes(`| \`${name}\` |`))).toEqual([]);
});

test('every setting is used', () => {
  expect(unusedSettings(readTree())).toEqual([]);
});

test('a setting that nothing reads is reported', () => {
  const readsAllButOne = { path: 'src/server/app.ts', text: `// ${names[0]}\n${names.slice(1).join(' ')}` };
  expect(unusedSettings([readsAllButOne])).toEqual([expect.stringMatching(new RegExp(`^${names[0]}: `))]);
});
