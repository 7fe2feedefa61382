import { Kysely } from 'kysely';
import type { Transaction } from 'kysely';
import { PostgresJSDialect } from 'kysely-postgres-js';
import type postgresJs from 'postgres';
import { InvariantError } from '#platform/errors.ts';
import { jitter } from '#platform/jitter.ts';
import { postgres } from './postgres-driver.ts';
import { binaryFormat } from './binary-values.ts';
import { requestBound } from './request-bound.ts';
import type { ByteaArray } from '../sql/bytea-array.ts';
import type { Tables } from '../schema/tables.ts';

/** Types of values in addition to those of postgres.js. */
interface OwnTypes extends Record<string, unknown> {
  readonly bigint: number;
  readonly byteaArray: ByteaArray;
}

/** The postgres.js pool. It reads `int8` as a safe integer, `bytea` as a Buffer and `timestamptz` as a Date. */
export type Sql = postgresJs.Sql<OwnTypes>;

/** The transaction that `Sql.begin` passes to its callback. */
export type SqlTx = postgresJs.TransactionSql<OwnTypes>;

/**
 * A connection pool with two interfaces. Statements of the hot paths use `sql`, all other statements use `db` (kysely),
 * and both use prepared statements.
 */
export interface Database {
  readonly sql: Sql;
  readonly db: Kysely<Tables>;
  /** Waits at most five seconds for running statements, then closes every connection. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /**
   * A `postgres://` URL, whose host may be the folder of a socket (`%2Fvar%2Frun%2Fpostgresql`). A URL of PgBouncer needs `?prepare=false`, which also omits the timeouts that PgBouncer
   * refuses at connect.
   */
  readonly url: string;
  readonly poolSize: number;
  /** The name of this process in `pg_stat_activity`. */
  readonly applicationName: string;
  /**
   * `requests` (the default) sets short timeouts for every statement. `maintenance` permits the long statements of
   * migrations.
   */
  readonly purpose?: 'requests' | 'maintenance';
}

/**
 * Settings of each connection. The timeouts are short for requests, because an open transaction that has written events
 * delays the delivery of later events.
 */
const sessionSettings = {
  requests: {
    statement_timeout: 5_000,
    lock_timeout: 3_000,
    idle_in_transaction_session_timeout: 5_000,
    // A prepared statement keeps the plan for a nearly empty partition, which is a sequential scan. After 20,000
    // messages, reading a page then took 2.4 ms instead of 0.2 ms, until the next ANALYZE.
    enable_seqscan: 'off',
  },
  maintenance: { statement_timeout: 0, lock_timeout: 10_000, idle_in_transaction_session_timeout: 60_000 },
} as const;

/**
 * Seconds without a response after which a connection for requests counts as lost. Postgres ends each statement after
 * five seconds.
 */
const answerTimeoutSeconds = 6;
/** Options that the corrections of postgres-driver.ts add. */
const correctedOptions = {
  requests: { answer_timeout: answerTimeoutSeconds, binary: binaryFormat },
  maintenance: { binary: binaryFormat },
} as const;
const connectTimeoutSeconds = { requests: 3, maintenance: 10 } as const;
const int8TypeId = 20;
const byteaArrayTypeId = 1001;

/**
 * Returns the delay before the next connection attempt in seconds. The delay is short to limit the wait, and random to
 * spread the attempts.
 */
function reconnectAfterSeconds(failures: number): number {
  return jitter() * Math.min(0.02 * 2 ** failures, 1);
}

/**
 * Opens a pool that connects at the first statement. Printed errors of postgres.js show no parameters, because `debug`
 * is false.
 */
export function openDatabase(options: DatabaseOptions): Database {
  const { searchParams, hostname } = new URL(options.url);
  const pooled = searchParams.get('prepare') === 'false';
  const host = decodeURIComponent(hostname);
  const purpose = options.purpose ?? 'requests';
  const pool: Sql = postgres(options.url, {
    max: options.poolSize,
    connect_timeout: connectTimeoutSeconds[purpose],
    ...correctedOptions[purpose],
    // postgres.js would look up the encoded path of a socket as the name of a host.
    ...(host.startsWith('/') ? { host } : {}),
    backoff: reconnectAfterSeconds,
    debug: false,
    onnotice: () => undefined,
    connection: {
      application_name: options.applicationName,
      TimeZone: 'UTC',
      ...(pooled ? {} : sessionSettings[purpose]),
    },
    types: {
      bigint: { to: int8TypeId, from: [int8TypeId], serialize: String, parse: safeInteger },
      // Only for the compiler: the binary format encodes such values.
      byteaArray: { to: byteaArrayTypeId, from: [], serialize: unchanged, parse: unchanged },
    },
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

function unchanged(value: ByteaArray): ByteaArray {
  return value;
}

/** Parses an int8 value. @throws InvariantError when the value is not a safe integer. */
function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new InvariantError('an int8 value is above 2^53');
  return value;
}

/** Kysely on a pool or on an open transaction. */
export type Db = Kysely<Tables>;

/** Kysely on an open transaction, for statements that must take effect together. */
export type Tx = Transaction<Tables>;
