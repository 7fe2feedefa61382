import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/**
 * Responses for repeated calls. Both digests are keyed, so a row shows neither caller nor method nor key. Two rows share no
 * value, so that a row written together with rows of one conversation links to no other conversation.
 */
const statements = [
  // Half of each page is free, so that the response is stored in place (HOT) right after the key.
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
