import { settings } from '#platform/config/settings.ts';
import type { Setting } from '#platform/config/settings.ts';
import { quotas, unitOf, windowSecondsOf } from '#quota/table/quotas.ts';
import type { Quota, QuotaName } from '#quota/table/quotas.ts';
import { quotaAdvice } from './quota-advice.ts';

const begin = '<!-- Written by `npm run codegen` from src/quota/table/quotas.ts; do not edit from here … -->';
const end = '<!-- … to here. -->';
const allSettings: Readonly<Record<string, Setting>> = settings;

const scopeTexts: Readonly<Record<Quota['scope'], string>> = {
  address: 'one client address, before authentication',
  caller: 'one account, all its devices together',
  target: 'the key packages of one person, all callers together',
  conversation: 'one conversation, all members together',
};

/**
 * The page with its generated part replaced: every quota, in the order of the table.
 * @throws Error when a marker is missing.
 */
export function quotaPage(current: string): string {
  const [head, rest, ...more] = current.split(`${begin}\n`);
  const tail = rest?.split(end)[1];
  if (head === undefined || tail === undefined || more.length > 0) throw new Error('docs/quotas.md lacks a marker');
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
