import { ConfigError } from '#platform/config/config.ts';
import { isTransientError } from '#platform/transient-error.ts';
import type { Database } from './database.ts';

export interface ServerFacts {
  readonly versionMajor: number;
}

const versionNumberMin = 150_000;

interface SettingsRow {
  readonly version: number;
  readonly isStandby: boolean;
  readonly fsync: string;
  readonly fullPageWrites: string;
  readonly synchronousCommit: string;
  readonly idleTimeout: string;
  readonly readOnly: string;
  readonly isolation: string;
  readonly encoding: string;
  readonly zeroDamagedPages: string;
}

/**
 * Checks that Postgres is version 15 or newer, accepts writes, and has session defaults with which the statements work.
 * In production, also refuses settings that may lose acknowledged writes or let an idle transaction block the delivery
 * of events.
 * @throws ConfigError that names every problem and its remedy, also when the server does not respond.
 */
export async function checkServer(database: Database, options: { readonly production: boolean }): Promise<ServerFacts> {
  const row = await readSettings(database);
  const problems: string[] = [];
  if (row.version < versionNumberMin) {
    problems.push(
      `Postgres is version ${Math.floor(row.version / 10_000)}; 15 or newer is needed. Upgrade it, or unset DATABASE_URL to use the embedded one.`,
    );
  }
  if (row.isStandby) problems.push('Postgres is a read-only standby. Point DATABASE_URL at the primary.');
  problems.push(...sessionProblems(row));
  if (options.production) problems.push(...productionProblems(row));
  // The error of a standby is temporary, because the standby may become the primary.
  const isTemporary = row.isStandby && problems.length === 1;
  if (problems.length > 0)
    throw new ConfigError(
      problems.map((problem) => `DATABASE_URL: ${problem}`),
      { isTemporary },
    );
  return { versionMajor: Math.floor(row.version / 10_000) };
}

/** Lists session defaults of the role, database or server with which the project's statements do not work. */
function sessionProblems(row: SettingsRow): string[] {
  const problems: string[] = [];
  if (row.readOnly === 'on' && !row.isStandby)
    problems.push(
      'default_transaction_read_only is on, so that nothing can be stored. Run: ALTER ROLE CURRENT_USER RESET default_transaction_read_only',
    );
  if (row.isolation !== 'read committed')
    problems.push(
      `default_transaction_isolation is ${row.isolation}. Statements behind a lock would read what was before it. Run: ALTER ROLE CURRENT_USER SET default_transaction_isolation = 'read committed'`,
    );
  if (row.encoding !== 'UTF8')
    problems.push(
      'the database is not encoded in UTF8. Create another one: createdb --encoding=UTF8 --template=template0',
    );
  return problems;
}

function productionProblems(row: SettingsRow): string[] {
  const problems: string[] = [];
  const losesData = 'An acknowledged message could be lost. Turn it on.';
  if (row.fsync === 'off') problems.push(`fsync is off. ${losesData}`);
  if (row.fullPageWrites === 'off') problems.push(`full_page_writes is off. ${losesData}`);
  if (row.synchronousCommit === 'off') problems.push(`synchronous_commit is off, perhaps for this user. ${losesData}`);
  if (row.zeroDamagedPages === 'on')
    problems.push('zero_damaged_pages is on. Damaged messages would vanish. Turn it off.');
  if (row.idleTimeout === '0') {
    problems.push(
      "idle_in_transaction_session_timeout is 0. One idle transaction would stop the delivery of events. Run: ALTER ROLE CURRENT_USER SET idle_in_transaction_session_timeout = '5s'",
    );
  }
  return problems;
}

async function readSettings({ sql }: Database): Promise<SettingsRow> {
  try {
    const [row] = await sql<SettingsRow[]>`select
      current_setting('server_version_num')::int as version,
      pg_is_in_recovery() as "isStandby",
      current_setting('fsync') as fsync,
      current_setting('full_page_writes') as "fullPageWrites",
      current_setting('synchronous_commit') as "synchronousCommit",
      current_setting('idle_in_transaction_session_timeout') as "idleTimeout",
      current_setting('default_transaction_read_only') as "readOnly",
      current_setting('default_transaction_isolation') as isolation,
      current_setting('server_encoding') as encoding,
      current_setting('zero_damaged_pages') as "zeroDamagedPages"`;
    if (row !== undefined) return row;
  } catch (error) {
    throw new ConfigError([`DATABASE_URL: ${connectProblem(error)}`], { isTemporary: isTransientError(error) });
  }
  throw new ConfigError(['DATABASE_URL: the server gives no answer to a query. Is it a Postgres?']);
}

const connectProblems: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens at that host and port. Start Postgres, or correct the URL.',
  ENOTFOUND: 'there is no such host. Correct the URL.',
  EAI_AGAIN: 'the name of the host cannot be looked up now. Check DNS.',
  CONNECT_TIMEOUT: 'the host does not answer. Check the address and firewalls.',
  '28P01': 'the password is wrong.',
  '28000': 'this user may not connect. Check pg_hba.conf, and sslmode in the URL.',
  '3D000': 'there is no such database. Create it with createdb.',
  '53300': 'the server has no connection left. Raise max_connections or lower DATABASE_POOL_SIZE.',
  '57P03': 'the server is starting or stopping. Try again in a moment.',
  '08P01': 'the connection was refused by a pooler. Add ?prepare=false to the URL, and set DATABASE_DIRECT_URL.',
};

function connectProblem(error: unknown): string {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  const known = typeof code === 'string' ? connectProblems[code] : undefined;
  return known ?? `cannot be used (${typeof code === 'string' ? code : 'unknown reason'}).`;
}
