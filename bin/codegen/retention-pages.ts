import { retainedTables } from '#domain/retention/retained-tables.ts';
import { retentionClasses } from '#domain/retention/retention-classes.ts';
import type { RetentionClass } from '#domain/retention/retention-class.ts';
import { jobs } from '#jobs/catalogue.ts';
import { settings } from '#platform/config/settings.ts';
import type { Setting } from '#platform/config/settings.ts';

const begin = '<!-- Written by `npm run codegen` from src/domain/retention; do not edit from here … -->';
const end = '<!-- … to here. -->';
const allSettings: Readonly<Record<string, Setting>> = settings;

/**
 * The page with the part between its marks made anew: every class of expiring rows, then every table that is kept.
 * @throws Error when a mark is missing.
 */
export function retentionPage(current: string): string {
  const [head, rest, ...more] = current.split(`${begin}\n`);
  const tail = rest?.split(end)[1];
  if (head === undefined || tail === undefined || more.length > 0) throw new Error('docs/retention.md has lost a mark');
  const lines = [
    '| Class | What it is | Kept for | Leaves with | Job, and when it runs (UTC) |',
    '| --- | --- | --- | --- | --- |',
    ...Object.entries<RetentionClass>(retentionClasses).map(([name, row]) => classLine(name, row)),
    '',
    '## Kept until somebody removes it',
    '',
    '| Table | Why no time ends it |',
    '| --- | --- |',
    ...Object.entries(retainedTables).map(([table, reason]) => `| \`${table}\` | ${reason} |`),
  ];
  return `${head}${begin}\n\n${lines.join('\n')}\n\n${end}${tail}`;
}

function classLine(name: string, row: RetentionClass): string {
  const leaves = row.table === 'messages' || row.table === 'events' ? 'its partition' : 'its row';
  const job = `\`${row.job}\`, ${scheduleInWords(jobs[row.job].schedule)}`;
  return `| \`${name}\` | ${row.what} | ${withDefaults(row)} | ${leaves} | ${job} |`;
}

/** Each name of a setting with its default behind it. */
function withDefaults({ keptFor, settings: names }: RetentionClass): string {
  let text = keptFor;
  for (const name of names) text = text.replace(name, `\`${name}\` (${allSettings[name]?.fallback ?? 'unset'})`);
  return text;
}

/** The cron patterns that the catalogue has: every so many minutes, hourly or daily. */
export function scheduleInWords(pattern: string): string {
  const [minute = '', hour = ''] = pattern.split(' ');
  if (minute.startsWith('*/')) return `every ${minute.slice(2)} minutes`;
  const at = minute.padStart(2, '0');
  return hour === '*' ? `hourly at :${at}` : `daily at ${hour.padStart(2, '0')}:${at}`;
}
