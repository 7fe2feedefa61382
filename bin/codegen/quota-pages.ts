import { settings } from '#platform/config/settings.ts';
import type { Setting } from '#platform/config/settings.ts';
import { quotas, unitOf, windowSecondsOf } from '#quota/table/quotas.ts';
import type { Quota, QuotaName } from '#quota/table/quotas.ts';
import { quotaAdvice } from './quota-advice.ts';

const begin = '<!-- Written by `npm run codegen` from src/quota/table/quotas.ts; do not edit from here … -->';
const end = '<!-- … to here. -->';
const allSettings: Readonly<Record<string, Setting>> = settings;

const whose: Readonly<Record<Quota['scope'], string>> = {
  address: 'one address, before a token has proven an identity',
  caller: 'one account, on all its devices',
  target: 'one person whom others want to add, whoever asks',
  conversation: 'one conversation, all members together',
};

/**
 * The page with the part between its marks made anew: every row of the quota table, in the table's order.
 * @throws Error when a mark is missing.
 */
export function quotaPage(current: string): string {
  const [head, rest, ...more] = current.split(`${begin}\n`);
  const tail = rest?.split(end)[1];
  if (head === undefined || tail === undefined || more.length > 0) throw new Error('docs/quotas.md has lost a mark');
  const sections = Object.entries<Quota>(quotas).map(([name, row]) => section(name as QuotaName, row));
  return `${head}${begin}\n\n${sections.join('\n\n')}\n\n${end}${tail}`;
}

function section(name: QuotaName, row: Quota): string {
  const { tooLow, tooHigh, tune } = quotaAdvice[name];
  return [
    `### \`${name}\``,
    '',
    `${row.protects}`,
    '',
    `- **Setting:** ${settingText(row)}`,
    `- **Counts:** ${whose[row.scope]}`,
    `- **Too low:** ${tooLow}`,
    `- **Too high:** ${tooHigh}`,
    `- **To tune:** ${tune}`,
  ].join('\n');
}

function settingText(row: Quota): string {
  const burst =
    row.burst === 'limit' ? 'all of them at once if need be' : `\`${row.burst}\` (${fallbackOf(row.burst)}) at once`;
  return `\`${row.setting}\`, default ${fallbackOf(row.setting)} ${unitOf(row)} in any ${windowSecondsOf(row)} seconds, ${burst}`;
}

function fallbackOf(name: string): string {
  return allSettings[name]?.fallback ?? 'unset';
}
