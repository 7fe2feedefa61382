import { defineCommand } from 'citty';
import { readConfig } from '#platform/config/config.ts';
import type { Config } from '#platform/config/config.ts';
import { factsOfThisProcess } from '#platform/process/process-facts.ts';
import { settings } from '#platform/config/settings.ts';
import type { Setting } from '#platform/config/settings.ts';
import { assertMigrated } from '#storage/schema/migrator.ts';
import { withDatabase } from '../with-database.ts';
import { command } from './command.ts';

/** Reads the settings as a server does at its start, except that an operator may be root. */
function read(): Config {
  return readConfig(process.env, { ...factsOfThisProcess(), uid: undefined });
}

async function checkAll(includesDatabase: boolean): Promise<void> {
  const config = read();
  if (includesDatabase) await withDatabase(config, (database) => assertMigrated(database));
  console.log('ok');
}

function printAll(config: Config): void {
  for (const [name, setting] of Object.entries<Setting>(settings)) {
    const value = (config as Readonly<Record<string, unknown>>)[name];
    const text = value === undefined ? '' : [value].flat().map(String).join(',');
    console.log(`${name}=${setting.secret && value !== undefined ? '(secret)' : text}`);
  }
}

const check = defineCommand({
  meta: { name: 'check', description: 'Print "ok", or every problem that would prevent a start' },
  args: { database: { type: 'boolean', default: false, description: 'Check the database too' } },
  run: ({ args }) => command(() => checkAll(args.database)),
});

const print = defineCommand({
  meta: { name: 'print', description: 'Print the effective value of every setting, with secrets masked' },
  run: () => command(() => printAll(read())),
});

export const configCommand = defineCommand({
  meta: { name: 'config', description: 'Check and print the settings' },
  subCommands: { check, print },
});
