import { inspect } from 'node:util';
import { sql as raw } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDatabase } from '#storage/connection/database.ts';
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
