import { defineCommand, runMain } from 'citty';
import { readConfig } from '#platform/config/config.ts';
import type { Config } from '#platform/config/config.ts';
import type { Database } from '#storage/connection/database.ts';
import { migrateDown, migrateUp, migrationStatus } from '#storage/schema/migrator.ts';
import { describeError } from '#platform/logging/logger.ts';
import { exitCodeOf, operatorMessage } from '#ops/operator-message.ts';
import { recordAction } from './record-action.ts';
import { withDatabase } from './with-database.ts';

/** One line of output, as `text` on a terminal and otherwise as JSON of all further fields. */
type Line = Readonly<Record<string, string | number | null>> & { readonly text: string };

function print({ text, ...fields }: Line): void {
  console.log(process.stdout.isTTY ? text : JSON.stringify(fields));
}

async function command(task: (database: Database, config: Config) => Promise<void>): Promise<void> {
  try {
    const config = readConfig(process.env);
    await withDatabase(config, (database) => task(database, config));
  } catch (error) {
    console.error(operatorMessage(error) ?? describeError(error));
    process.exitCode = exitCodeOf(error);
  }
}

/** Returns whether the table of operator actions exists, which its migration creates. */
async function hasOperatorActions({ sql }: Database): Promise<boolean> {
  const [table] = await sql<{ name: string | null }[]>`SELECT to_regclass('operator_actions')::text AS name`;
  return (table?.name ?? null) !== null;
}

const up = defineCommand({
  meta: { name: 'up', description: 'Apply all pending migrations' },
  run: () =>
    command(async (database, config) => {
      const applied = await migrateUp(database);
      if (applied.length > 0) await recordAction({ config, database }, 'migrate.up', 'none');
      for (const migration of applied) print({ text: `applied  ${migration}`, event: 'applied', migration });
      print({
        text: applied.length === 0 ? 'Nothing to do: the schema is up to date.' : 'The schema is up to date.',
        event: 'up',
        count: applied.length,
      });
    }),
});

const down = defineCommand({
  meta: { name: 'down', description: 'Revert the newest migration' },
  run: () =>
    command(async (database, config) => {
      if (await hasOperatorActions(database)) await recordAction({ config, database }, 'migrate.down', 'none');
      const reverted = await migrateDown(database);
      for (const migration of reverted) print({ text: `reverted ${migration}`, event: 'reverted', migration });
      if (reverted.length === 0) print({ text: 'There is no migration to revert.', event: 'down', count: 0 });
    }),
});

const status = defineCommand({
  meta: { name: 'status', description: 'List all migrations and when they were applied' },
  run: () =>
    command(async (database) => {
      for (const { name, appliedAt } of await migrationStatus(database)) {
        const at = appliedAt?.toISOString();
        print({
          text: `${at === undefined ? 'pending '.padEnd(24) : at}  ${name}`,
          event: 'migration',
          migration: name,
          appliedAt: at ?? null,
        });
      }
    }),
});

await runMain(
  defineCommand({
    meta: { name: 'npm run migrate --', description: 'Bring the database schema up to date, or one step back' },
    subCommands: { up, down, status },
  }),
);
