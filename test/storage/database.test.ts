import { inspect } from 'node:util';
import { sql as raw } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDatabase } from '#storage/connection/database.ts';
import { byteaArray } from '#storage/sql/bytea-array.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';

describe('a database pool', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase({ poolSize: 2 });
  });
  afterAll(() => database.close());

  test('int8 and arrays of it are read as numbers, and a value beyond 2^53 is an error', async () => {
    const [row] = await database.sql`select 9007199254740991::int8 as one, array[1, 2]::int8[] as many`;
    expect(row).toEqual({ one: 9_007_199_254_740_991, many: [1, 2] });
    await expect(database.sql`select 9007199254740993::int8`).rejects.toThrow('2^53');
    expect(await database.sql`select 1 as alive`).toEqual([{ alive: 1 }]);
  });

  // The first execution of a statement without parameters has results as text, and every later one as bytes.
  test('values are the same as text and as bytes', async () => {
    const values = [
      'true',
      'false',
      'null::boolean',
      "'\\x00ff10'::bytea",
      "''::bytea",
      '(-32768)::int2',
      '(-2147483648)::int4',
      '(-9007199254740991)::int8',
      '4294967295::oid',
      "'-1.5e300'::float8",
      "'NaN'::float8",
      '1.1::float4',
      "'2026-11-28 21:00:00.123999+00'::timestamptz",
      "'1999-12-31 23:59:59.999999+00'::timestamptz",
      "'1960-01-01 00:00:00.0009+00'::timestamptz",
      "'infinity'::timestamptz",
      "'-infinity'::timestamptz",
      "'über'::text",
      '1.25::numeric',
      `'{"a": [1]}'::jsonb`,
      "'9d7a1b52-93f4-4c0e-8a7e-0b8f6f0b1c11'::uuid",
      "date '2026-01-02'",
      "array['\\x01'::bytea, '\\x']",
    ];
    const single = openDatabase({ url: database.url, poolSize: 1, applicationName: 'binary-test' });
    const text = `select ${values.map((value, index) => `${value} as v${index}`).join(', ')}`;
    try {
      await single.sql`select 1`;
      const read = () => single.sql.unsafe(text, [], { prepare: true, simple: false } as never);
      const [asText] = await read();
      const [asBytes] = await read();
      expect(asBytes).toEqual(asText);
      expect(asText).toMatchObject({
        v0: true,
        v2: null,
        v3: Buffer.from('00ff10', 'hex'),
        v7: -Number.MAX_SAFE_INTEGER,
      });
    } finally {
      await single.close();
    }
  });

  test('parameters arrive as they are, and arrays of bytes too', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    const strings = ['a"b\\c', 'ü', '', '{null}', 'null'];
    const numbers = [0, -1, 2 ** 40, -(2 ** 40) - 1, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER];
    for (let time = 0; time < 2; time++) {
      const [row] = await database.sql`
        select ${bytes}::bytea as bytes, ${byteaArray([bytes, Buffer.alloc(0)])}::bytea[] as "bytesList",
          ${byteaArray([])}::bytea[] as none, ${strings}::text[] as strings, ${numbers}::int8[] as numbers,
          ${[3, -(2 ** 31)]}::int4[] as integers, ${[0.1, -1e300]}::float8[] as floats, ${[]}::int8[] as empty, ${null}::bytea as nothing`;
      expect(row).toEqual({
        bytes,
        bytesList: [bytes, Buffer.alloc(0)],
        none: [],
        strings,
        numbers,
        integers: [3, -(2 ** 31)],
        floats: [0.1, -1e300],
        empty: [],
        nothing: null,
      });
    }
    const viaKysely = await raw<{ found: boolean }>`
      select ${bytes} = any (${byteaArray([bytes])}::bytea[]) as found`.execute(database.db);
    expect(viaKysely.rows).toEqual([{ found: true }]);
  });

  // postgres.js keeps the parameters of a statement that Postgres refuses because its columns have changed.
  test('a statement whose plan is out of date is sent again with the same parameters', async () => {
    const single = openDatabase({ url: database.url, poolSize: 1, applicationName: 'retry-test' });
    try {
      await single.sql`create table changing (bytes bytea)`;
      const insert = (bytes: Buffer) => single.sql`insert into changing (bytes) values (${bytes}) returning *`;
      await insert(Buffer.from('one'));
      await single.sql`alter table changing add column note text`;
      expect(await insert(Buffer.from('two'))).toEqual([{ bytes: Buffer.from('two'), note: null }]);
    } finally {
      await single.close();
    }
  });

  test('both interfaces use prepared statements', async () => {
    const single = openDatabase({ url: database.url, poolSize: 1, applicationName: 'prepared-test' });
    try {
      await raw`select ${1}::int as through_kysely`.execute(single.db);
      await single.sql`select ${1}::int as through_postgres`;
      const names = await single.sql<{ statement: string }[]>`select statement from pg_prepared_statements`;
      expect(names.filter(({ statement }) => statement.includes('through_'))).toHaveLength(2);
    } finally {
      await single.close();
    }
  });

  test('the error of a failed statement does not contain its parameters', async () => {
    const secret = 'did:plc:thisshouldnotbeprinted';
    const error: unknown = await database.sql`select ${secret}::text, 1 / ${0}::int`.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(Error);
    expect(inspect(error, { depth: 9 }) + JSON.stringify(error)).not.toContain(secret);
  });

  test('every connection limits the time of transactions, statements and locks', async () => {
    const [row] = await database.sql`select current_setting('statement_timeout') as statement,
      current_setting('lock_timeout') as lock, current_setting('idle_in_transaction_session_timeout') as idle,
      current_setting('TimeZone') as zone`;
    expect(row).toEqual({ statement: '5s', lock: '3s', idle: '5s', zone: 'UTC' });
  });
});
