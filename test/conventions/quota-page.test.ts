import { expect, test } from 'vitest';
import { settings } from '#platform/config/settings.ts';
import { quotas } from '#quota/table/quotas.ts';
import { quotaPage } from '../../bin/codegen/quota-pages.ts';
import { readTree } from './source-tree.ts';

const page = readTree().find(({ path }) => path === 'docs/quotas.md')?.text ?? '';

/** The part of the page about one row. */
function sectionOf(text: string, name: string): string {
  return text.split(/^#{2,3} /m).find((section) => section.startsWith(`\`${name}\`\n`)) ?? '';
}

test.each(Object.entries(quotas))('an operator finds everything about the limit %s', (name, row) => {
  const section = sectionOf(page, name);
  expect(section).toContain(row.protects);
  for (const setting of [row.setting, ...(row.burst === 'limit' ? [] : [row.burst])]) {
    expect(section).toContain(`\`${setting}\``);
    expect(section).toContain(settings[setting].fallback);
  }
  expect(section).toMatch(/ in any \d+ (seconds|minutes?)/);
  for (const part of ['Counts', 'Too low', 'Too high', 'To tune'])
    expect(section).toMatch(new RegExp(`[*]{2}${part}:[*]{2} .{20,}`));
});

test('text around the generated part stays, an old generated part goes, and a lost mark is told', () => {
  const outdated = page.replace('### `sendMessage`', '### `sendParcel`');
  expect(outdated).not.toBe(page);
  expect(quotaPage(outdated)).toBe(page);
  expect(quotaPage(`More.\n${page}Yet more.\n`)).toBe(`More.\n${page}Yet more.\n`);
  expect(() => quotaPage('# Quotas\n')).toThrow('docs/quotas.md lacks a marker');
});
