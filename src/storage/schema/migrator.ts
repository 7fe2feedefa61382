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
 * Whether servers of the previous release work with the migrated schema (`expands`), or must be stopped before the
 * migration and refuse to start after it (`contracts`). See docs/decisions/0010.
 */
export type MigrationEffect = 'expands' | 'contracts';

/** A migration file, and the time at which the migration was applied. */
export interface MigrationState {
  readonly name: string;
  readonly effect: MigrationEffect;
  readonly appliedAt: Date | undefined;
}

export const migrationFolder = fileURLToPath(new URL('../../../migrations', import.meta.url));

/** Lists every migration that was applied. */
const appliedTable = 'kysely_migration_applied';
/**
 * Lists the migrations that a release must contain to run. The first releases read only this table, so it contains all
 * of their migrations.
 */
const requiredTable = 'kysely_migration';
/** The id of Kysely's lock, which makes the migrators of all releases wait for each other. */
const lockId = '3853314791062309107';

/**
 * Applies every pending migration in one transaction. Concurrent callers wait for the first.
 * @returns the names of the applied migrations.
 * @throws the error of a failed migration, after which none is applied.
 * @throws ConfigError when another release has applied a migration after a pending one.
 */
export async function migrateUp(database: Database, folder: string = migrationFolder): Promise<readonly string[]> {
  await prepareTables(database);
  const applied = await readApplied(database);
  const known = Object.keys(await migrationsOf(folder));
  const pending = known.filter((name) => !applied.has(name));
  // Kysely would report an error when a newer release has applied migrations that this release does not contain.
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
 * @returns a list with its name, or an empty list when no migration is applied.
 * @throws the error of the failed migration, after which nothing has changed.
 */
export async function migrateDown(database: Database, folder: string = migrationFolder): Promise<readonly string[]> {
  await prepareTables(database);
  return namesOf(await migratorOf(database, folder).migrateDown());
}

/** Lists every migration of `folder`, oldest first, with the time at which it was applied. */
export async function migrationStatus(
  database: Database,
  folder: string = migrationFolder,
): Promise<readonly MigrationState[]> {
  const applied = new Map([...(await readRequired(database)), ...(await readApplied(database))]);
  const known = Object.entries(await migrationsOf(folder)).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return known.map(([name, migration]) => ({ name, effect: effectOf(migration), appliedAt: applied.get(name) }));
}

/**
 * Checks that the schema is the one that this release requires. Newer releases may have added to the schema.
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
 * Creates both tables as Kysely would. Copies the rows of a release that has only one of the tables, and leaves the
 * originals for that release.
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

/** Extends a migration, so that its transaction also adds its name to the migrations that a release must contain. */
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

/** Returns the declared effect of a migration, or `contracts` if the migration declares none. */
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
