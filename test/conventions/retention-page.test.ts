import { expect, test } from 'vitest';
import { retentionClasses } from '#domain/retention/retention-classes.ts';
import type { RetentionClass } from '#domain/retention/retention-class.ts';
import { jobs } from '#jobs/catalogue.ts';
import { settings } from '#platform/config/settings.ts';
import { retentionPage, scheduleInWords } from '../../bin/codegen/retention-pages.ts';
import { readTree } from './source-tree.ts';

const page = readTree().find(({ path }) => path === 'docs/retention.md')?.text ?? '';

test.each(Object.entries<RetentionClass>(retentionClasses))(
  'the page says how long %s are kept, and what removes them',
  (name, row) => {
    const line = page.split('\n').find((each) => each.startsWith(`| \`${name}\` |`)) ?? '';
    expect(line).toContain(row.what);
    expect(line).toContain(`\`${row.job}\`, `);
    for (const setting of row.settings) expect(line).toContain(`\`${setting}\` (${settings[setting].fallback})`);
  },
);

test('every schedule of the catalogue can be said in words', () => {
  for (const { schedule } of Object.values(jobs)) {
    expect(scheduleInWords(schedule)).toMatch(/^every \d+ minutes$|^hourly at :\d\d$|^daily at \d\d:\d\d$/);
    expect(schedule).toMatch(/^(\*\/\d+ \*|\d+ \*|\d+ \d+) \* \* \*$/);
  }
  expect(scheduleInWords('5 4 * * *')).toBe('daily at 04:05');
});

test('text around the generated part stays, an old generated part goes, and a lost mark is told', () => {
  const outdated = page.replace('| `messages` |', '| `letters` |');
  expect(outdated).not.toBe(page);
  expect(retentionPage(outdated)).toBe(page);
  expect(() => retentionPage('# Kept\n')).toThrow('docs/retention.md lacks a marker');
});
