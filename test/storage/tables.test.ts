import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';

interface Column {
  readonly table: string;
  readonly column: string;
  readonly nullable: boolean;
}

/** Reads the row types of src/storage/schema/tables.ts as text, because types do not exist at run time. */
async function declaredColumns(): Promise<Column[]> {
  const source = await readFile(new URL('../../src/storage/schema/tables.ts', import.meta.url), 'utf8');
  const interfaces = new Map(
    [...source.matchAll(/interface (\w+) \{([^}]*)\}/g)].map(([, name = '', body = '']) => [name, fieldsOf(body)]),
  );
  const tables = interfaces.get('Tables') ?? [];
  return tables.flatMap(({ name: table, type }) =>
    (interfaces.get(type) ?? []).map((field) => ({
      table,
      column: field.name,
      nullable: field.type.includes('| null'),
    })),
  );
}

function fieldsOf(body: string): { name: string; type: string }[] {
  return [...body.matchAll(/^ {2}(\w+): ([^;]+);/gm)].map(([, name = '', type = '']) => ({ name, type }));
}

function describeColumns(columns: readonly Column[]): string[] {
  return columns.map(({ table, column, nullable }) => `${table}.${column}${nullable ? ' or null' : ''}`).sort();
}

describe('row types', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.close());

  test('match the migrated database: every table, every column, and which may be null', async () => {
    const stored = await database.sql<Column[]>`
      SELECT c.table_name AS "table", c.column_name AS "column", c.is_nullable = 'YES' AS nullable
      FROM information_schema.columns c
      JOIN pg_class r ON r.relname = c.table_name AND r.relnamespace = 'public'::regnamespace AND NOT r.relispartition
      WHERE c.table_schema = 'public' AND c.table_name NOT LIKE 'kysely_%' AND r.relkind IN ('r', 'p')`;
    const declared = await declaredColumns();
    expect(declared.length).toBeGreaterThan(70);
    expect(describeColumns(declared)).toEqual(describeColumns(stored));
  });
});
