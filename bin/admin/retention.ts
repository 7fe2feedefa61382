import { defineCommand } from 'citty';
import { readRetentionAges } from '#domain/retention/read-retention-ages.ts';
import { retentionClasses, retentionClassNames } from '#domain/retention/retention-classes.ts';
import type { RetentionClassName } from '#domain/retention/retention-classes.ts';
import { readConfig } from '#platform/config/config.ts';
import type { Config } from '#platform/config/config.ts';
import { systemClock } from '#platform/clock.ts';
import { estimateRows } from '#storage/expiry/estimate-rows.ts';
import { withDatabase } from '../with-database.ts';
import { command } from './command.ts';

/** The state of one retention class; times are null when there is no row or the time is unknown. */
interface ClassReport {
  readonly class: RetentionClassName;
  readonly keptFor: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly job: string;
  /** The number of rows of the whole table, as last estimated by Postgres. */
  readonly tableRowsEstimate: number | null;
  readonly oldest: string | null;
  readonly overdueSince: string | null;
}

async function showAll(): Promise<void> {
  const config = readConfig(process.env);
  const shown = await withDatabase(config, async (database) => {
    const ages = new Map((await readRetentionAges(database, config)).map((age) => [age.name, age]));
    const estimates = await estimateRows(database.sql);
    const nowMs = systemClock.nowMs();
    return retentionClassNames.map((name): ClassReport => {
      const { table, job, keptFor } = retentionClasses[name];
      const { oldestMs, overdueMs = 0 } = ages.get(name) ?? {};
      return {
        class: name,
        keptFor,
        settings: settingsOf(name, config),
        job,
        tableRowsEstimate: estimates.get(table) ?? null,
        oldest: oldestMs === undefined ? null : toMinute(nowMs - oldestMs),
        overdueSince: overdueMs === 0 ? null : toMinute(nowMs - overdueMs),
      };
    });
  });
  for (const row of shown) console.log(process.stdout.isTTY ? textOf(row) : JSON.stringify(row));
}

function settingsOf(name: RetentionClassName, config: Config): Record<string, unknown> {
  return Object.fromEntries(retentionClasses[name].settings.map((setting) => [setting, config[setting]]));
}

function textOf(row: ClassReport): string {
  const values = Object.entries(row.settings).map(([name, value]) => `${name}=${String(value)}`);
  const rows = row.tableRowsEstimate === null ? 'not yet estimated' : `about ${row.tableRowsEstimate} in its table`;
  return [
    row.class,
    `  kept      ${row.keptFor}`,
    ...values.map((value) => `            ${value}`),
    `  rows      ${rows}`,
    ...(row.oldest === null ? [] : [`  oldest    ${minuteOf(row.oldest)}`]),
    `  overdue   ${row.overdueSince === null ? 'no' : `since ${minuteOf(row.overdueSince)}: npm run admin -- jobs run ${row.job}`}`,
  ].join('\n');
}

/** Formats a time rounded to a minute, which is the precision of stored times. */
function toMinute(timeMs: number): string {
  return new Date(Math.round(timeMs / 60_000) * 60_000).toISOString();
}

function minuteOf(iso: string): string {
  return `${iso.slice(0, 16)}Z`;
}

const show = defineCommand({
  meta: {
    name: 'show',
    description: 'List every retention class: retention time, number of rows, oldest row and overdue rows',
  },
  run: () => command(showAll),
});

export const retentionCommand = defineCommand({
  meta: { name: 'retention', description: 'Show retention times and overdue data' },
  subCommands: { show },
});
