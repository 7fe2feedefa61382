import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/**
 * Opt-in and chat requests. The people that a person blocks are in that person's own repository and not in this database. The
 * settings of an account are one encrypted value of fixed size, so that a row does not show whether any were changed.
 */
const statements = [
  // Null in rows older than this migration: no settings were changed. Every new row has a value.
  'ALTER TABLE accounts ADD COLUMN sealed_settings bytea',

  // recipient finds the list of one person. pair finds the request of one sender, and matches no other row of the sender.
  `CREATE TABLE chat_requests (
    request_id uuid PRIMARY KEY,
    recipient bytea NOT NULL,
    pair bytea NOT NULL,
    key_id smallint NOT NULL,
    state smallint NOT NULL,
    sealed_request bytea NOT NULL,
    message_count smallint NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    answered_at timestamptz,
    kept_until timestamptz NOT NULL
  )`,
  'CREATE INDEX chat_requests_by_recipient ON chat_requests (recipient, state, created_at, request_id)',
  'CREATE INDEX chat_requests_by_pair ON chat_requests (pair)',
  'CREATE INDEX chat_requests_by_end ON chat_requests (kept_until)',

  `CREATE TABLE chat_request_messages (
    request_id uuid NOT NULL REFERENCES chat_requests ON DELETE CASCADE,
    sequence smallint NOT NULL,
    sealed_message bytea NOT NULL,
    PRIMARY KEY (request_id, sequence)
  )`,
  'ALTER TABLE chat_request_messages ALTER COLUMN sealed_message SET STORAGE EXTERNAL',

  // State 5 is a request that the recipient never sees. The sender must not learn this, so the request expires at the same time
  // as any other.
  `CREATE TABLE chat_sender_blocks (
    pair bytea PRIMARY KEY,
    key_id smallint NOT NULL,
    sealed_people bytea NOT NULL
  )`,
] as const;

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const table of ['chat_sender_blocks', 'chat_request_messages', 'chat_requests'])
    await sql`DROP TABLE ${sql.id(table)}`.execute(db);
  await sql`ALTER TABLE accounts DROP COLUMN sealed_settings`.execute(db);
}
