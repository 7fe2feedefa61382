import type { Sql, SqlTx } from '#storage/connection/database.ts';

/** The tables, columns, functions and so on that a server's statements use, each with its properties. */
export type SchemaShape = ReadonlyMap<string, string>;

/** Reads the whole schema, without the tables that record the migrations. */
export async function readShape(sql: Sql | SqlTx): Promise<SchemaShape> {
  const rows = await sql<{ key: string; value: string }[]>`
    WITH relations AS (
      SELECT c.* FROM pg_class c
      WHERE c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE 'kysely_%' AND NOT c.relispartition
    )
    SELECT 'table ' || relname AS key, relkind::text || relpersistence::text || coalesce(array_to_string(reloptions, ','), '') AS value
      FROM relations WHERE relkind IN ('r', 'p', 'v', 'm', 'S')
    UNION ALL
    SELECT 'column ' || c.relname || '.' || a.attname,
           format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
           || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
      FROM relations c JOIN pg_attribute a ON a.attrelid = c.oid
      LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
      WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    -- Postgres 18 lists NOT NULL as a constraint too.
    SELECT 'constraint ' || r.relname || '.' || k.conname, pg_get_constraintdef(k.oid)
      FROM pg_constraint k JOIN relations r ON r.oid = k.conrelid WHERE k.contype <> 'n'
    UNION ALL
    SELECT CASE WHEN i.indisunique THEN 'unique index ' ELSE 'index ' END || r.relname || '.' || i.indexrelid::regclass::text,
           pg_get_indexdef(i.indexrelid)
      FROM pg_index i JOIN relations r ON r.oid = i.indrelid
    UNION ALL
    SELECT 'trigger ' || r.relname || '.' || t.tgname, pg_get_triggerdef(t.oid)
      FROM pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
    UNION ALL
    SELECT 'function ' || p.oid::regprocedure::text, pg_get_function_result(p.oid)
      FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prokind IN ('f', 'p')`;
  return new Map(rows.map(({ key, value }) => [key, value]));
}

/** Returns the changes from `earlier` to `later` that would break a server written for `earlier`. */
export function breakingChanges(earlier: SchemaShape, later: SchemaShape): string[] {
  const changes: string[] = [];
  for (const [key, value] of earlier) {
    const now = later.get(key);
    if (now === undefined) changes.push(`${key} is removed`);
    else if (now !== value) changes.push(`${key} changed`);
  }
  for (const [key, value] of later) {
    if (earlier.has(key) || !earlier.has(`table ${tableOf(key)}`)) continue;
    const isDemanding = key.startsWith('column ')
      ? value.includes(' not null') && !value.includes(' default ')
      : /^(constraint|unique index|trigger) /.test(key);
    if (isDemanding) changes.push(`${key} is required of rows that are inserted without it`);
  }
  return changes;
}

/** Returns the table of a key, for example of `unique index members.by_name`. */
function tableOf(key: string): string {
  const [, table = ''] = /^[a-z ]+ (\w+)\./.exec(key) ?? [];
  return table;
}
