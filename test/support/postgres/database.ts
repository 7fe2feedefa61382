import { inject } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { newSecret } from '#platform/ids.ts';
import { openDatabase } from '#storage/connection/database.ts';
import type { Database, Sql } from '#storage/connection/database.ts';
import { databaseOf, onDatabase } from './database-url.ts';

/** A new database with every migration applied; `close` drops it. */
export interface TestDatabase extends Database {
  readonly url: string;
}

export interface TestDatabaseOptions {
  readonly poolSize?: number;
  /** `migrated` (the default), or `empty` for tests of the migrations. */
  readonly schema?: 'migrated' | 'empty';
}

const cloneAttempts = 50;

/** Clones the template of the global setup; several test files may do so at the same time. */
export async function createTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const templateUrl = inject('postgresUrl');
  const name = `nightjar_test_${newSecret(8).toString('hex')}`;
  const template = options.schema === 'empty' ? 'template0' : databaseOf(templateUrl);
  await asAdmin(templateUrl, (sql) => clone(sql, name, template));
  const url = onDatabase(templateUrl, name);
  const database = openDatabase({ url, poolSize: options.poolSize ?? 10, applicationName: 'nightjar-test' });
  return {
    ...database,
    url,
    close: async () => {
      await database.close();
      await asAdmin(templateUrl, (sql) => sql`drop database if exists ${sql(name)} with (force)`);
    },
  };
}

async function clone(sql: Sql, name: string, template: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      // To copy the files costs less than to write each page to the WAL.
      await sql`create database ${sql(name)} template ${sql(template)} strategy file_copy`;
      return;
    } catch (error) {
      const isInUse = error instanceof Error && 'code' in error && error.code === '55006';
      if (!isInUse || attempt === cloneAttempts) throw error;
      await systemClock.sleep(100);
    }
  }
}

async function asAdmin<T>(url: string, task: (sql: Sql) => Promise<T>): Promise<T> {
  const admin = openDatabase({
    url: onDatabase(url, 'postgres'),
    poolSize: 1,
    applicationName: 'nightjar-test',
    purpose: 'maintenance',
  });
  try {
    return await task(admin.sql);
  } finally {
    await admin.close();
  }
}
