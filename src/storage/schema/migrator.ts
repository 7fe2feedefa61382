import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import { FileMigrationProvider, Migrator } from 'kysely/migration';
import type { Migration, MigrationProvider, MigrationResultSet } from 'kysely/migration';
import { ConfigError } from '#platform/config/config.ts';
import type { Database } from '../connection/database.ts';

/**
 * What a migration means for a server of the previous release. `expands`: that server continues to work. `contracts`:
 * it does not, so it must be stopped before, and refuses to start after (docs/decisions/0010).
 */
export type MigrationEffect = 'expands' | 'contracts';

/** One migration file, and when it was applied. */
export interface MigrationState {
  readonly name: string;
  readonly effect: MigrationEffect;
  readonly appliedAt: Date | undefined;
}

export const migrationFolder = fileURLToPath(new URL('../../../migrations', import.meta.url));

/** Every migration that was applied. */
const appliedTable = 'kysely_migration_applied';
/**
 * The migrations that a release must contain to run. The first releases read only this table, and it contains all of
 * theirs.
 */
const requiredTable = 'kysely_migration';
/** The id of Kysely's own lock, so that the migrators of all releases wait for each other. */
const lockId = '3853314791062309107';

/**
 * Applies every pending migration in one transaction. Kysely's lock makes concurrent callers wait for the first.
 * @returns the names of the applied migrations.
 * @throws the error of the migration that failed, and then none was applied; ConfigError when another release has
 * applied a migration after a pending one.
 */
export async function migrateUp(database: Database, folder: string = migrationFolder): Promise<readonly string[]> {
  await prepareTables(database);
  const applied = await readApplied(database);
  const known = Object.keys(await migrationsOf(folder));
  const pending = known.filter((name) => !applied.has(name));
  // A newer release may have applied migrations that this one does not contain, which Kysely would report as an error.
  if (pending.length === 0) return [];
  const unknown = [...applied.keys()].filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new ConfigError([
      `The database lacks ${pending.join(', ')} and has ${unknown.join(', ')}, which this version does not know. Run a version that knows both.`,
    ]);
  }
  return namesOf(await migratorOf(database, folder).migrateToLatest());
}

/**
 * Reverts the newest migration.
 * @returns its name, or an empty list when none is applied.
 * @throws the error of the migration that failed, and then nothing was changed.
 */
export async function migrateDown(database: Database, folder: string = migrationFolder): Promise<readonly string[]> {
  await prepareTables(database);
  return namesOf(await migratorOf(database, folder).migrateDown());
}

/** Every migration of `folder`, oldest first. */
export async function migrationStatus(
  database: Database,
  folder: string = migrationFolder,
): Promise<readonly MigrationState[]> {
  const applied = new Map([...(await readRequired(database)), ...(await readApplied(database))]);
  const known = Object.entries(await migrationsOf(folder)).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return known.map(([name, migration]) => ({ name, effect: effectOf(migration), appliedAt: applied.get(name) }));
}

/**
 * Checks that the schema is the one this release was written for, or one that newer releases have only added to.
 * @throws ConfigError when migrations are missing, or when a newer release has removed something.
 */
export async function assertMigrated(database: Database, folder: string = migrationFolder): Promise<void> {
  const problems: string[] = [];
  const status = await migrationStatus(database, folder);
  const missing = status.filter(({ appliedAt }) => appliedAt === undefined).map(({ name }) => name);
  if (missing.length > 0) {
    problems.push(
      `The database lacks ${missing.length === 1 ? 'a migration' : `${missing.length} migrations`} (${missing.join(', ')}). Run: npm run migrate -- up`,
    );
  }
  const known = new Set(status.map(({ name }) => name));
  const unknown = [...(await readRequired(database)).keys()].filter((name) => !known.has(name));
  if (unknown.length > 0) {
    problems.push(
      `The database has migrations that this version does not know (${unknown.join(', ')}). Run the version that made them, or a newer one.`,
    );
  }
  if (problems.length > 0) throw new ConfigError(problems);
}

function readApplied(database: Database): Promise<ReadonlyMap<string, Date>> {
  return readTimes(database, appliedTable);
}

function readRequired(database: Database): Promise<ReadonlyMap<string, Date>> {
  return readTimes(database, requiredTable);
}

async function readTimes(database: Database, table: string): Promise<ReadonlyMap<string, Date>> {
  const [found] = await database.sql<{ name: string | null }[]>`SELECT to_regclass(${table})::text AS name`;
  if ((found?.name ?? null) === null) return new Map();
  const rows = await database.sql<{ name: string; timestamp: string }[]>`
    SELECT name, "timestamp" FROM ${database.sql(table)} ORDER BY name`;
  return new Map(rows.map(({ name, timestamp }) => [name, new Date(timestamp)]));
}

/**
 * Creates both tables as Kysely would. Rows of a release that has only one of the tables are copied, and remain for
 * that release.
 */
async function prepareTables(database: Database): Promise<void> {
  await database.sql.begin(async (tx) => {
    await tx`SELECT set_config('lock_timeout', '1h', true)`;
    await tx`SELECT pg_advisory_xact_lock(${lockId}::bigint)`;
    for (const table of [requiredTable, appliedTable]) {
      await tx.unsafe(
        `CREATE TABLE IF NOT EXISTS ${table} (name varchar(255) PRIMARY KEY, "timestamp" varchar(255) NOT NULL)`,
      );
    }
    await tx.unsafe(
      `INSERT INTO ${appliedTable} SELECT name, "timestamp" FROM ${requiredTable} ON CONFLICT DO NOTHING`,
    );
  });
}

function migratorOf({ db }: Database, folder: string): Migrator {
  const provider: MigrationProvider = {
    async getMigrations() {
      const migrations = Object.entries(await migrationsOf(folder));
      return Object.fromEntries(migrations.map(([name, migration]) => [name, withRequiredEntry(name, migration)]));
    },
  };
  return new Migrator({ db, provider, migrationTableName: appliedTable });
}

/** Adds the migration's name to the list of those that a release must contain, in the migration's own transaction. */
function withRequiredEntry(name: string, migration: Migration): Migration {
  return {
    async up(db: Kysely<unknown>) {
      await migration.up(db);
      if (effectOf(migration) === 'expands') return;
      const at = new Date(await databaseNowMs(db)).toISOString();
      await sql`INSERT INTO ${sql.table(requiredTable)} VALUES (${name}, ${at}) ON CONFLICT DO NOTHING`.execute(db);
    },
    ...(migration.down === undefined
      ? {}
      : {
          async down(db: Kysely<unknown>) {
            await migration.down?.(db);
            await sql`DELETE FROM ${sql.table(requiredTable)} WHERE name = ${name}`.execute(db);
          },
        }),
  };
}

async function databaseNowMs(db: Kysely<unknown>): Promise<number> {
  const { rows } = await sql<{ nowMs: number }>`
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS "nowMs"`.execute(db);
  return rows[0]?.nowMs ?? 0;
}

/** A migration without an effect counts as one that contracts. */
function effectOf(migration: Migration): MigrationEffect {
  return 'effect' in migration && migration.effect === 'expands' ? 'expands' : 'contracts';
}

function migrationsOf(folder: string): Promise<Record<string, Migration>> {
  const provider = new FileMigrationProvider({
    fs: { readdir: (path) => readdir(path) },
    path: { join },
    migrationFolder: folder,
    import: (path) => import(pathToFileURL(path).href),
  });
  return provider.getMigrations();
}

function namesOf(outcome: MigrationResultSet): readonly string[] {
  if (outcome.error !== undefined) throw outcome.error;
  return (outcome.results ?? []).map(({ migrationName }) => migrationName);
}
