import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/**
 * Answers that a repeated call gets again. Both digests are keyed: a row names neither the caller nor the method nor the key,
 * and two rows share no value, so that standing beside the rows of one conversation it leads to no other.
 */
const statements = [
  // The free half of each page takes the answer in place (HOT), a moment after the key was taken.
  `CREATE TABLE idempotency_keys (
    digest bytea PRIMARY KEY,
    input_digest bytea NOT NULL,
    sealed_answer bytea,
    expires_at timestamptz NOT NULL
  ) WITH (fillfactor = 50)`,
  'CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at)',
] as const;

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`DROP TABLE idempotency_keys`.execute(db);
}
