import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Migrator } from 'kysely/migration';
import type { Migration } from 'kysely/migration';
import { afterEach, expect, test } from 'vitest';
import { openDatabase } from '#storage/connection/database.ts';
import type { Database } from '#storage/connection/database.ts';
import { assertMigrated, migrateDown, migrateUp, migrationFolder, migrationStatus } from '#storage/schema/migrator.ts';
import { createTestDatabase } from '../support/postgres/database.ts';

const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function emptyDatabase(): Promise<Database & { readonly url: string }> {
  const database = await createTestDatabase({ schema: 'empty', poolSize: 3 });
  cleanUps.push(() => database.close());
  return database;
}

/** Everything that a migration could leave behind, as text. */
async function schemaOf({ sql }: Database): Promise<readonly string[]> {
  const rows = await sql<{ line: string }[]>`
    select 'relation ' || c.relkind::text || ' ' || c.relname || ' ' || coalesce(array_to_string(c.reloptions, ','), '') as line
      from pg_class c where c.relnamespace = 'public'::regnamespace
    union all
    select 'column ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull::text
      from pg_attribute a join pg_class c on c.oid = a.attrelid
      where c.relnamespace = 'public'::regnamespace and a.attnum > 0 and not a.attisdropped
    union all
    select 'constraint ' || conrelid::regclass::text || ' ' || pg_get_constraintdef(oid)
      from pg_constraint where connamespace = 'public'::regnamespace
    union all select 'index ' || indexdef from pg_indexes where schemaname = 'public'
    union all select 'function ' || pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace and prokind in ('f', 'p')
    union all select 'type ' || typtype::text || ' ' || typname from pg_type where typnamespace = 'public'::regnamespace
    union all select 'schema ' || nspname from pg_namespace where nspname not like 'pg\_%'
    order by line`;
  return rows.map(({ line }) => line).filter((line) => !line.includes('kysely_migration'));
}

test('all migrations up, down to an empty schema, and up again result in the same schema', async () => {
  const database = await emptyDatabase();
  const before = await schemaOf(database);
  const names = (await readdir(migrationFolder)).map((file) => file.replace(/\.ts$/, '')).sort();
  expect(await migrateUp(database)).toEqual(names);
  const first = await schemaOf(database);
  expect(await migrateUp(database)).toEqual([]);
  for (const name of names.toReversed()) expect(await migrateDown(database)).toEqual([name]);
  expect(await migrateDown(database)).toEqual([]);
  expect(await schemaOf(database)).toEqual(before);
  await migrateUp(database);
  expect(await schemaOf(database)).toEqual(first);
});

test('four servers that migrate at once apply each migration once', async () => {
  const database = await emptyDatabase();
  const folder = await migrations({ '0001-slow': 'create table slow as select pg_sleep(0.2)::text' });
  const four = Array.from({ length: 4 }, () =>
    openDatabase({ url: database.url, poolSize: 1, applicationName: 'migrating' }),
  );
  cleanUps.push(() => Promise.all(four.map((one) => one.close())));
  const applied = await Promise.all(four.map((one) => migrateUp(one, folder)));
  expect(applied.flat()).toEqual(['0001-slow']);
});

test('a failed migration changes nothing', async () => {
  const database = await emptyDatabase();
  const folder = await migrations({ '0001-good': 'create table good ()', '0002-bad': 'create table good ()' });
  const before = await schemaOf(database);
  await expect(migrateUp(database, folder)).rejects.toThrow('already exists');
  expect(await schemaOf(database)).toEqual(before);
  expect((await migrationStatus(database, folder)).map(({ appliedAt }) => appliedAt)).toEqual([undefined, undefined]);
});

test('a server refuses a database that lacks migrations or has unknown ones, with the remedy', async () => {
  const database = await emptyDatabase();
  const old = await migrations({ '0001-first': 'create table first ()' });
  const current = await migrations({ '0001-first': 'create table first ()', '0002-second': 'create table second ()' });
  await expect(assertMigrated(database, old)).rejects.toThrow('npm run migrate -- up');
  await migrateUp(database, current);
  await expect(assertMigrated(database, current)).resolves.toBeUndefined();
  await expect(assertMigrated(database, old)).rejects.toThrow('0002-second');
});

test('a server accepts the schema of a newer release that only added to it, and refuses one that removed something', async () => {
  const database = await emptyDatabase();
  const first = { '0001-first': 'create table first ()' };
  const second = { ...first, '0002-second': 'create table second ()' };
  const third = { ...second, '0003-third': 'drop table first' };
  const [old, expanded, contracted] = [
    await migrations(first),
    await migrations(second, ['0002-second']),
    await migrations(third, ['0002-second']),
  ];
  await migrateUp(database, expanded);
  await expect(assertMigrated(database, old)).resolves.toBeUndefined();
  expect(await migrateUp(database, old)).toEqual([]);
  expect((await migrationStatus(database, expanded)).map(({ effect }) => effect)).toEqual(['contracts', 'expands']);
  await migrateUp(database, contracted);
  await expect(assertMigrated(database, old)).rejects.toThrow('0003-third');
  await expect(assertMigrated(database, expanded)).rejects.toThrow('0003-third');
  expect(await migrateDown(database, contracted)).toEqual(['0003-third']);
  await expect(assertMigrated(database, old)).resolves.toBeUndefined();
});

test('a release does not migrate past a migration of another release', async () => {
  const database = await emptyDatabase();
  await migrateUp(database, await migrations({ '0001-first': 'create table first ()', '0003-theirs': 'select 1' }));
  const ours = await migrations({ '0001-first': 'create table first ()', '0002-ours': 'create table ours ()' });
  await expect(migrateUp(database, ours)).rejects.toThrow('The database lacks 0002-ours and has 0003-theirs');
});

test('migrations recorded by previous releases count, remain for them, and are copied once by four concurrent servers', async () => {
  const database = await emptyDatabase();
  const statements = { '0001-first': 'create table first ()', '0002-second': 'create table second ()' };
  const provider = { getMigrations: async () => ({ '0001-first': await moduleOf(statements['0001-first']) }) };
  const { error } = await new Migrator({ db: database.db, provider }).migrateToLatest();
  expect(error).toBeUndefined();
  const folder = await migrations(statements, ['0001-first', '0002-second']);
  await expect(assertMigrated(database, folder)).rejects.toThrow('0002-second');
  const before = await migrationStatus(database, folder);
  const four = Array.from({ length: 4 }, () => migrateUp(database, folder));
  expect((await Promise.all(four)).flat()).toEqual(['0002-second']);
  await expect(assertMigrated(database, folder)).resolves.toBeUndefined();
  const [first] = await migrationStatus(database, folder);
  expect(first?.appliedAt).toEqual(before[0]?.appliedAt);
  expect(await requiredNames(database)).toEqual(['0001-first']);
  expect(await migrateDown(database, folder)).toEqual(['0002-second']);
  expect(await migrateDown(database, folder)).toEqual(['0001-first']);
  expect(await requiredNames(database)).toEqual([]);
});

test('a new database requires its first three migrations and every contracting one', async () => {
  const database = await emptyDatabase();
  await migrateUp(database);
  const contracting = (await migrationStatus(database)).filter(({ effect }) => effect === 'contracts');
  const names = contracting.map(({ name }) => name);
  expect(names.slice(0, 3)).toEqual(['0001-tables', '0002-append-messages', '0003-claim-key-packages']);
  expect(await requiredNames(database)).toEqual(names);
});

async function requiredNames({ sql }: Database): Promise<readonly string[]> {
  const rows = await sql<{ name: string }[]>`select name from kysely_migration order by name`;
  return rows.map(({ name }) => name);
}

async function moduleOf(statement: string): Promise<Migration> {
  const folder = await migrations({ '0001-only': statement });
  return (await import(pathToFileURL(join(folder, '0001-only.mjs')).href)) as Migration;
}

/** Creates a folder of migrations without imports, one statement each; those in `expanding` have that effect. */
async function migrations(
  statements: Readonly<Record<string, string>>,
  expanding: readonly string[] = [],
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-migrations-'));
  cleanUps.push(() => rm(folder, { recursive: true, force: true }));
  for (const [name, statement] of Object.entries(statements)) {
    const effect = expanding.includes(name) ? `export const effect = 'expands';\n` : '';
    const lines = [queryOf('up', statement), queryOf('down', inverseOf(statement))];
    await writeFile(join(folder, `${name}.mjs`), effect + lines.join(''));
  }
  return folder;
}

function queryOf(direction: 'up' | 'down', statement: string): string {
  const node = `{ kind: 'RawNode', sqlFragments: [${JSON.stringify(statement)}], parameters: [] }`;
  return `export const ${direction} = (db) => db.executeQuery({ sql: ${JSON.stringify(statement)}, parameters: [], query: ${node}, queryId: { queryId: 'x' } });\n`;
}

function inverseOf(statement: string): string {
  const [, action, table] = /^(create|drop) table (\w+)/.exec(statement) ?? [];
  if (table === undefined) return 'select 1';
  return action === 'create' ? `drop table ${table}` : `create table ${table} ()`;
}
