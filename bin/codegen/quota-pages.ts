import { settings } from '#platform/config/settings.ts';
import type { Setting } from '#platform/config/settings.ts';
import { quotas, unitOf, windowSecondsOf } from '#quota/table/quotas.ts';
import type { Quota, QuotaName } from '#quota/table/quotas.ts';
import { replaceGeneratedPart } from './generated-part.ts';
import { quotaAdvice } from './quota-advice.ts';

const part = { path: 'docs/quotas.md', source: 'src/quota/table/quotas.ts' };
const allSettings: Readonly<Record<string, Setting>> = settings;

const scopeTexts: Readonly<Record<Quota['scope'], string>> = {
  address: 'one client address, before authentication',
  caller: 'one account, all its devices together',
  target: 'the key packages of one person, all callers together',
  conversation: 'one conversation, all members together',
};

/**
 * Returns the page with its generated part replaced by every quota, in the order of the table.
 * @throws Error when a marker is missing.
 */
export function quotaPage(current: string): string {
  const sections = Object.entries<Quota>(quotas).map(([name, row]) => section(name as QuotaName, row));
  return replaceGeneratedPart(current, part, sections.join('\n\n'));
}

function section(name: QuotaName, row: Quota): string {
  const { tooLow, tooHigh, tune } = quotaAdvice[name];
  return [
    `### \`${name}\``,
    '',
    `${row.protects}`,
    '',
    `- **Setting:** ${settingText(row)}`,
    `- **Counts:** ${scopeTexts[row.scope]}`,
    `- **Too low:** ${tooLow}`,
    `- **Too high:** ${tooHigh}`,
    `- **To tune:** ${tune}`,
  ].join('\n');
}

function settingText(row: Quota): string {
  const burst = row.burst === 'limit' ? 'all of them at once' : `\`${row.burst}\` (${fallbackOf(row.burst)}) at once`;
  return `\`${row.setting}\`, default ${fallbackOf(row.setting)} ${unitOf(row)} in any ${windowSecondsOf(row)} seconds, ${burst}`;
}

function fallbackOf(name: string): string {
  return allSettings[name]?.fallback ?? 'unset';
}
