import { Kysely } from 'kysely';
import type { Transaction } from 'kysely';
import { PostgresJSDialect } from 'kysely-postgres-js';
import type postgresJs from 'postgres';
import { InvariantError } from '#platform/errors.ts';
import { jitter } from '#platform/jitter.ts';
import { postgres } from './postgres-driver.ts';
import { requestBound } from './request-bound.ts';
import type { Tables } from '../schema/tables.ts';

/** The postgres.js pool. `int8` is read as a number (a safe integer), `bytea` as Buffer, `timestamptz` as Date. */
export type Sql = postgresJs.Sql<{ bigint: number }>;

/** An open transaction of `Sql.begin`. */
export type SqlTx = postgresJs.TransactionSql<{ bigint: number }>;

/**
 * One pool with two interfaces: `sql` for the hot statements, `db` (kysely) for all others. Both use prepared
 * statements.
 */
export interface Database {
  readonly sql: Sql;
  readonly db: Kysely<Tables>;
  /** Waits at most five seconds for running statements, then closes every connection. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** A `postgres://` URL. With `?prepare=false` it may point at a PgBouncer, which refuses timeouts at connect. */
  readonly url: string;
  readonly poolSize: number;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
  /** `requests` (the default) sets short timeouts for every statement; `maintenance` is for migrations. */
  readonly purpose?: 'requests' | 'maintenance';
}

/**
 * Session settings. An open transaction that has written events delays later events, so transactions have a short
 * timeout. A prepared statement keeps the plan of its first executions: for a new partition that is a sequential scan,
 * and page reads got slower with every message until the next ANALYZE (0.2 to 2.4 ms with 20,000 messages). Every
 * request reads by key, so sequential scans are off.
 */
const sessionSettings = {
  requests: {
    statement_timeout: 5_000,
    lock_timeout: 3_000,
    idle_in_transaction_session_timeout: 5_000,
    enable_seqscan: 'off',
  },
  maintenance: { statement_timeout: 0, lock_timeout: 10_000, idle_in_transaction_session_timeout: 60_000 },
} as const;

/** For requests: Postgres ends statements after five seconds, so a connection without a response for longer is lost. */
const answerTimeoutSeconds = 6;
const connectTimeoutSeconds = { requests: 3, maintenance: 10 } as const;
const int8TypeId = 20;

/** Seconds before the next connection attempt: short, to limit the wait, and with jitter, to spread the attempts. */
function reconnectAfterSeconds(failures: number): number {
  return jitter() * Math.min(0.02 * 2 ** failures, 1);
}

/** Opens a lazy pool: the first statement connects. postgres.js does not include parameters in its errors. */
export function openDatabase(options: DatabaseOptions): Database {
  const pooled = new URL(options.url).searchParams.get('prepare') === 'false';
  const purpose = options.purpose ?? 'requests';
  const pool: Sql = postgres(options.url, {
    max: options.poolSize,
    connect_timeout: connectTimeoutSeconds[purpose],
    ...(purpose === 'requests' ? { answer_timeout: answerTimeoutSeconds } : {}),
    backoff: reconnectAfterSeconds,
    debug: false,
    onnotice: () => undefined,
    connection: {
      application_name: options.applicationName,
      TimeZone: 'UTC',
      ...(pooled ? {} : sessionSettings[purpose]),
    },
    types: { bigint: { to: int8TypeId, from: [int8TypeId], serialize: String, parse: safeInteger } },
  });
  const sql = requestBound(pool);
  const db = new Kysely<Tables>({ dialect: new PostgresJSDialect({ postgres: sql }) });
  return {
    sql,
    db,
    close: async () => {
      await sql.end({ timeout: 5 });
      await db.destroy();
    },
  };
}

/** @throws InvariantError when the value is not a safe integer. */
function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new InvariantError('an int8 value is above 2^53');
  return value;
}

/** A pool or an open transaction. */
export type Db = Kysely<Tables>;

/** An open transaction, for statements that must be atomic with others. */
export type Tx = Transaction<Tables>;
