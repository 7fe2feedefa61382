import { defineCommand } from 'citty';
import { readConfig } from '#platform/config/config.ts';
import type { Config } from '#platform/config/config.ts';
import { factsOfThisProcess } from '#platform/process/process-facts.ts';
import { settings } from '#platform/config/settings.ts';
import type { Setting } from '#platform/config/settings.ts';
import { assertMigrated } from '#storage/schema/migrator.ts';
import { withDatabase } from '../with-database.ts';
import { command } from './command.ts';

/** As a server does when it starts, except that an operator may be root. */
function read(): Config {
  return readConfig(process.env, { ...factsOfThisProcess(), uid: undefined });
}

async function checkAll(withDatabaseToo: boolean): Promise<void> {
  const config = read();
  if (withDatabaseToo) await withDatabase(config, (database) => assertMigrated(database));
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
  meta: { name: 'check', description: 'Say "ok", or everything that would keep the service from starting' },
  args: { database: { type: 'boolean', default: false, description: 'Look at the database as well' } },
  run: ({ args }) => command(() => checkAll(args.database)),
});

const print = defineCommand({
  meta: { name: 'print', description: 'Show every setting as it counts, secrets masked' },
  run: () => command(() => printAll(read())),
});

export const configCommand = defineCommand({
  meta: { name: 'config', description: 'Settings' },
  subCommands: { check, print },
});
