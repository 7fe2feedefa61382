import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { rules } from '../../bin/client-check/rules.ts';
import { scenarios } from '../../bin/client-check/scenarios/all-scenarios.ts';
import { projectRoot } from '../conventions/source-tree.ts';

const page = readFileSync(join(projectRoot, 'docs/client-check.md'), 'utf8');

/** Cells of the rows of the table under a heading of the page. */
function rowsUnder(heading: string): string[][] {
  const section = page.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| '));
  return rows.slice(2).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

test('the page has every rule with its text', () => {
  expect(rowsUnder('Which rules are there?')).toEqual(
    rules.map(({ id, says, seenBy, page: target }) => [`\`${id}\``, `[${says}](${linkOf(target)})`, seenBy]),
  );
});

const linkOf = (target: string): string => target.replace(/^client-check\.md/, '');

test('the page has every scenario', () => {
  expect(rowsUnder('Which scenarios are there?')).toEqual(
    scenarios.map(({ name, summary }) => [`\`${name}\``, summary]),
  );
});

/** Ids of the headings of a page, as GitHub makes them. */
function headingIds(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

test.for(rules.map((rule) => [rule.id, rule.page] as const))('the link of rule %s leads to a section', ([, target]) => {
  const [file = '', section] = target.split('#');
  const path = join(projectRoot, 'docs', file);
  expect(existsSync(path)).toBe(true);
  if (section !== undefined) expect(headingIds(readFileSync(path, 'utf8'))).toContain(section);
});
