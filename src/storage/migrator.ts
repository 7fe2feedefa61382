import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { FileMigrationProvider, Migrator } from 'kysely/migration';
import type { MigrationInfo, MigrationResultSet } from 'kysely/migration';
import { ConfigError } from '#platform/config.ts';
import type { Database } from './database.ts';

/** One migration file, and when it was applied. */
export interface MigrationState {
  readonly name: string;
  readonly appliedAt: Date | undefined;
}

export const migrationFolder = fileURLToPath(new URL('../../migrations', import.meta.url));

/**
 * Applies every pending migration in one transaction. Kysely's lock makes several callers wait for the first.
 * @returns the names of those applied.
 * @throws the error of the migration that failed; then none was applied.
 */
export async function migrateUp(database: Database, folder: string = migrationFolder): Promise<readonly string[]> {
  return namesOf(await migratorOf(database, folder).migrateToLatest());
}

/**
 * Takes back the newest migration.
 * @returns its name, or nothing when none is applied.
 * @throws the error of the migration that failed; then nothing changed.
 */
export async function migrateDown(database: Database, folder: string = migrationFolder): Promise<readonly string[]> {
  return namesOf(await migratorOf(database, folder).migrateDown());
}

/** Every migration of `folder`, oldest first. */
export async function migrationStatus(
  database: Database,
  folder: string = migrationFolder,
): Promise<readonly MigrationState[]> {
  const known = await migratorOf(database, folder).getMigrations();
  return known.map(({ name, executedAt }: MigrationInfo) => ({ name, appliedAt: executedAt }));
}

/**
 * A server runs only on the schema that it was written for.
 * @throws ConfigError when migrations are missing, or when the database is newer than this program.
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
  const unknown = (await appliedNames(database)).filter((name) => !known.has(name));
  if (unknown.length > 0) {
    problems.push(
      `The database has migrations that this version does not know (${unknown.join(', ')}). Run the version that made them, or a newer one.`,
    );
  }
  if (problems.length > 0) throw new ConfigError(problems);
}

async function appliedNames(database: Database): Promise<string[]> {
  const [table] = await database.sql<{ name: string | null }[]>`select to_regclass('kysely_migration')::text as name`;
  if (table?.name === null || table === undefined) return [];
  const rows = await database.sql<{ name: string }[]>`select name from kysely_migration order by name`;
  return rows.map(({ name }) => name);
}

function migratorOf(database: Database, folder: string): Migrator {
  const provider = new FileMigrationProvider({
    fs: { readdir: (path) => readdir(path) },
    path: { join },
    migrationFolder: folder,
    import: (path) => import(pathToFileURL(path).href),
  });
  return new Migrator({ db: database.db, provider });
}

function namesOf(outcome: MigrationResultSet): readonly string[] {
  if (outcome.error !== undefined) throw outcome.error;
  return (outcome.results ?? []).map(({ migrationName }) => migrationName);
}
