import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { openDatabase } from '#storage/database.ts';
import type { Database } from '#storage/database.ts';
import { assertMigrated, migrateDown, migrateUp, migrationFolder, migrationStatus } from '#storage/migrator.ts';
import { createTestDatabase } from '../support/database.ts';

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

test('every migration goes up, down to an empty schema, and up again to the same one', async () => {
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

test('a migration that fails leaves nothing of its run behind', async () => {
  const database = await emptyDatabase();
  const folder = await migrations({ '0001-good': 'create table good ()', '0002-bad': 'create table good ()' });
  const before = await schemaOf(database);
  await expect(migrateUp(database, folder)).rejects.toThrow('already exists');
  expect(await schemaOf(database)).toEqual(before);
  expect((await migrationStatus(database, folder)).map(({ appliedAt }) => appliedAt)).toEqual([undefined, undefined]);
});

test('a server refuses a database that lacks migrations or has unknown ones, and says what to do', async () => {
  const database = await emptyDatabase();
  const old = await migrations({ '0001-first': 'create table first ()' });
  const current = await migrations({ '0001-first': 'create table first ()', '0002-second': 'create table second ()' });
  await expect(assertMigrated(database, old)).rejects.toThrow('npm run migrate -- up');
  await migrateUp(database, current);
  await expect(assertMigrated(database, current)).resolves.toBeUndefined();
  await expect(assertMigrated(database, old)).rejects.toThrow('0002-second');
});

/** A folder of migrations without imports, each one statement. */
async function migrations(statements: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-migrations-'));
  cleanUps.push(() => rm(folder, { recursive: true, force: true }));
  for (const [name, statement] of Object.entries(statements)) {
    const node = `{ kind: 'RawNode', sqlFragments: [${JSON.stringify(statement)}], parameters: [] }`;
    const text = `export const up = (db) => db.executeQuery({ sql: ${JSON.stringify(statement)}, parameters: [], query: ${node}, queryId: { queryId: 'x' } });\n`;
    await writeFile(join(folder, `${name}.mjs`), text);
  }
  return folder;
}
