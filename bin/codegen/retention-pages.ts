import { nonExpiringTables } from '#domain/retention/non-expiring-tables.ts';
import { retentionClasses } from '#domain/retention/retention-classes.ts';
import type { RetentionClass } from '#domain/retention/retention-class.ts';
import { jobs } from '#jobs/catalogue.ts';
import { settings } from '#platform/config/settings.ts';
import type { Setting } from '#platform/config/settings.ts';
import { replaceGeneratedPart } from './generated-part.ts';

const part = { path: 'docs/retention.md', source: 'src/domain/retention' };
const allSettings: Readonly<Record<string, Setting>> = settings;

/**
 * Returns the page with its generated part replaced by every retention class, then every table without expiry.
 * @throws Error when a marker is missing.
 */
export function retentionPage(current: string): string {
  const lines = [
    '| Class | Contents | Retention time | Deleted with | Job and its schedule (UTC) |',
    '| --- | --- | --- | --- | --- |',
    ...Object.entries<RetentionClass>(retentionClasses).map(([name, row]) => classLine(name, row)),
    '',
    '## Which tables have no retention time?',
    '',
    '| Table | Why its rows do not expire |',
    '| --- | --- |',
    ...Object.entries(nonExpiringTables).map(([table, reason]) => `| \`${table}\` | ${reason} |`),
  ];
  return replaceGeneratedPart(current, part, lines.join('\n'));
}

function classLine(name: string, row: RetentionClass): string {
  const deletedWith = row.table === 'messages' || row.table === 'events' ? 'its partition' : 'its row';
  const job = `\`${row.job}\`, ${scheduleInWords(jobs[row.job].schedule)}`;
  return `| \`${name}\` | ${row.what} | ${withDefaults(row)} | ${deletedWith} | ${job} |`;
}

/** Returns the retention time of a class as text, with the default after each setting name. */
function withDefaults({ keptFor, settings: names }: RetentionClass): string {
  let text = keptFor;
  for (const name of names) text = text.replace(name, `\`${name}\` (${allSettings[name]?.fallback ?? 'unset'})`);
  return text;
}

/** Describes a cron pattern of the job catalogue, which is every few minutes, hourly or daily. */
export function scheduleInWords(pattern: string): string {
  const [minute = '', hour = ''] = pattern.split(' ');
  if (minute.startsWith('*/')) return `every ${minute.slice(2)} minutes`;
  const at = minute.padStart(2, '0');
  return hour === '*' ? `hourly at :${at}` : `daily at ${hour.padStart(2, '0')}:${at}`;
}
