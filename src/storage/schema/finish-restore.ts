import { ConfigError } from '#platform/config/config.ts';
import type { Sql, SqlTx } from '../connection/database.ts';

/** Thrown while servers or workers are connected. The message names them. */
export class DatabaseInUseError extends Error {
  override readonly name = 'DatabaseInUseError';
}

/** The number of rows that finishing a restore changed. */
export interface FinishedRestore {
  /** Conversations whose message and event numbers were raised. */
  readonly conversations: number;
  /** Withdrawn one-time key packages, which may have been claimed after the backup. */
  readonly keyPackagesWithdrawn: number;
}

/**
 * The gap that is added to the message and event numbers of each conversation, so that no number of the lost data is
 * used again. A conversation uses fewer numbers between two backups, and a client with 32-bit numbers can follow 2,000
 * restores.
 */
const numberGap = 1_000_000;

/**
 * Makes a restored database safe to use, in one transaction (docs/decisions/0011).
 * @param options.isComplete true when nothing was stored after the backup, for example when a stopped service is moved.
 * @throws DatabaseInUseError while servers or workers are connected.
 */
export async function finishRestore(sql: Sql, options: { isComplete: boolean }): Promise<FinishedRestore> {
  return sql.begin(async (tx) => {
    // A server that starts now waits for the new generation, which servers read when they start.
    await tx`LOCK TABLE cursor_generation IN ACCESS EXCLUSIVE MODE`;
    await assertNotInUse(tx);
    await tx`
      UPDATE cursor_generation
      SET generation = decode(replace(gen_random_uuid()::text, '-', ''), 'hex'),
          cluster = (SELECT system_identifier::text FROM pg_control_system())`;
    // No cursor of the new generation points to these events. New positions continue, because the dump contains their
    // sequence.
    await tx`TRUNCATE events`;
    // The record of used tokens gets a new start, so that all tokens issued before that start are refused.
    await tx`TRUNCATE replay_entries, replay_birth, quota_rows`;
    await tx`UPDATE job_turns SET fence = fence + ${numberGap}, is_running = false`;
    // Workers create the schema of the job queue again.
    await tx`DROP SCHEMA IF EXISTS bullmq CASCADE`;
    const gap = options.isComplete ? 0 : numberGap;
    const counters = await tx`
      UPDATE conversation_counters
      SET last_seq = last_seq + ${gap}::bigint, last_event = last_event + ${gap}::bigint, last_position = 0`;
    return {
      conversations: options.isComplete ? 0 : counters.count,
      keyPackagesWithdrawn: options.isComplete ? 0 : await withdrawKeyPackages(tx),
    };
  });
}

/**
 * Withdraws the available one-time key packages. The rows remain for over a day, as rows of used packages do, so that
 * the same packages cannot be published again.
 */
async function withdrawKeyPackages(tx: SqlTx): Promise<number> {
  const withdrawn = await tx`
    UPDATE key_packages
    SET state = 3, claimer = NULL, claimed_at = date_trunc('day', now()), consumed_at = date_trunc('day', now()) + interval '1 day'
    WHERE state = 1 AND NOT last_resort`;
  return withdrawn.count;
}

async function assertNotInUse(tx: SqlTx): Promise<void> {
  const rows = await tx<{ name: string }[]>`
    SELECT DISTINCT application_name AS name FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'nightjar-%' AND application_name <> 'nightjar-command'
    ORDER BY name`;
  if (rows.length === 0) return;
  throw new DatabaseInUseError(
    `The database is in use (${rows.map(({ name }) => name).join(', ')}). Stop all servers and workers first.`,
  );
}

/**
 * Refuses a database that was restored into another Postgres cluster, until the restore is finished. Otherwise cursors
 * of clients could be ahead of the log, and numbers and key packages could be used twice.
 * @throws ConfigError that names the command that finishes the restore.
 */
export async function assertRestoreFinished(sql: Sql): Promise<void> {
  const rows = await sql<{ isHere: boolean }[]>`
    SELECT cluster IS NOT DISTINCT FROM (SELECT system_identifier::text FROM pg_control_system()) AS "isHere"
    FROM cursor_generation`;
  if (rows[0]?.isHere !== false) return;
  throw new ConfigError([
    'DATABASE_URL: the database was restored from a dump. Before the service starts, run: npm run admin -- restore finish',
  ]);
}
