import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/**
 * The worker that runs a job at the moment. The fencing token `fence` rises with every holder, and every step of a run checks it.
 */
const statements = [
  // Every step of a run rewrites its row, and the few rows fit on one page.
  `CREATE TABLE job_turns (
    job text PRIMARY KEY,
    registered_at timestamptz NOT NULL DEFAULT now(),
    fence bigint NOT NULL DEFAULT 0,
    turn_at timestamptz NOT NULL DEFAULT '-infinity',
    beat_at timestamptz,
    is_running boolean NOT NULL DEFAULT false,
    succeeded_at timestamptz,
    paused_at timestamptz
  ) WITH (fillfactor = 30)`,
] as const;

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`DROP TABLE job_turns`.execute(db);
}
