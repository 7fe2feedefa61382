import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Kysely } from 'kysely';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { migrationFolder } from '#storage/schema/migrator.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { breakingChanges, readShape } from '../support/postgres/schema-shape.ts';

interface MigrationModule {
  readonly effect?: unknown;
  up(db: Kysely<unknown>): Promise<void>;
}

const files = (await readdir(migrationFolder)).filter((file) => file.endsWith('.ts')).toSorted();

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase({ schema: 'empty', poolSize: 2 });
});
afterAll(() => database.close());

test('every migration states whether a server of the previous release can run on it, and an expanding one removes nothing', async () => {
  const harm: Record<string, readonly string[]> = {};
  const built = await createTestDatabase({ schema: 'empty', poolSize: 2 });
  onTestFinished(() => built.close());
  for (const file of files) {
    const module = (await import(pathToFileURL(join(migrationFolder, file)).href)) as MigrationModule;
    expect(['expands', 'contracts'], file).toContain(module.effect);
    const before = await readShape(built.sql);
    await built.db.transaction().execute((tx) => module.up(tx as unknown as Kysely<unknown>));
    const done = breakingChanges(before, await readShape(built.sql));
    if (module.effect === 'expands' && done.length > 0) harm[file] = done;
  }
  expect(harm).toEqual({});
});

test('an expanding migration removes no row', async () => {
  const losing: string[] = [];
  for (const file of files) {
    const text = await readFile(join(migrationFolder, file), 'utf8');
    const [up = ''] = text.split('export async function down');
    const removesRows = /\b(DELETE\s+FROM|TRUNCATE)\b/i.test(up);
    if (removesRows && text.includes(`effect = 'expands'`)) losing.push(file);
  }
  expect(losing).toEqual([]);
});

const start = `
  CREATE TABLE kept (id int PRIMARY KEY, note text, size int NOT NULL DEFAULT 0);
  CREATE INDEX kept_by_note ON kept (note);
  CREATE FUNCTION answer(integer) RETURNS integer LANGUAGE sql AS 'SELECT $1'`;

/** Runs the statement in a transaction that is rolled back. */
async function harmOf(statement: string): Promise<readonly string[]> {
  let harm: readonly string[] | undefined;
  const rolledBack = database.sql.begin(async (tx) => {
    await tx.unsafe(start);
    const before = await readShape(tx);
    await tx.unsafe(statement);
    harm = breakingChanges(before, await readShape(tx));
    throw new Error('rolled back');
  });
  await expect(rolledBack).rejects.toThrow('rolled back');
  return harm ?? [];
}

describe('a migration does not count as expanding when it contains', () => {
  test.each([
    'DROP TABLE kept',
    'ALTER TABLE kept RENAME TO moved',
    'ALTER TABLE kept DROP COLUMN note',
    'ALTER TABLE kept RENAME COLUMN note TO remark',
    'ALTER TABLE kept ALTER COLUMN note SET NOT NULL',
    'ALTER TABLE kept ALTER COLUMN size DROP NOT NULL',
    'ALTER TABLE kept ALTER COLUMN size DROP DEFAULT',
    'ALTER TABLE kept ALTER COLUMN size TYPE bigint',
    'ALTER TABLE kept ADD COLUMN owner bytea NOT NULL',
    'ALTER TABLE kept ADD CHECK (size > 0)',
    'ALTER TABLE kept ADD FOREIGN KEY (size) REFERENCES kept',
    'ALTER TABLE kept DROP CONSTRAINT kept_pkey',
    'CREATE UNIQUE INDEX ON kept (note)',
    'DROP INDEX kept_by_note',
    'DROP FUNCTION answer',
    `DROP FUNCTION answer; CREATE FUNCTION answer(integer) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'`,
    `DROP FUNCTION answer; CREATE FUNCTION answer(integer, integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'`,
    `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
     CREATE TRIGGER refusing BEFORE UPDATE ON kept EXECUTE FUNCTION refuse()`,
  ])('%s', async (statement) => {
    expect(await harmOf(statement)).not.toEqual([]);
  });
});

test('new tables, optional columns, indexes, overloads and new function bodies do no harm', async () => {
  const harmless = `
    CREATE TABLE added (id int PRIMARY KEY, name text NOT NULL UNIQUE, kept int REFERENCES kept);
    ALTER TABLE kept ADD COLUMN owner bytea, ADD COLUMN is_new boolean NOT NULL DEFAULT false;
    CREATE INDEX kept_by_size ON kept (size);
    CREATE OR REPLACE FUNCTION answer(integer) RETURNS integer LANGUAGE sql AS 'SELECT $1 + 1';
    CREATE FUNCTION answer(integer, boolean) RETURNS integer LANGUAGE sql AS 'SELECT $1'`;
  expect(await harmOf(harmless)).toEqual([]);
});
