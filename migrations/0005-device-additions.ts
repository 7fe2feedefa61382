import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/**
 * A new device of a member waits in each of the member's conversations until another member adds it. The migration adds no rows
 * to these conversations and no row for each of them: rows and events written together would link the conversations of one person
 * (docs/decisions/0004). `sealed_waiting` is the encrypted, padded list of conversations, with the same sizes as an account's
 * list.
 */
const statements = [
  `ALTER TABLE devices
    ADD COLUMN sealed_did bytea,
    ADD COLUMN sealed_push_token bytea,
    ADD COLUMN sealed_waiting bytea,
    ADD COLUMN waiting_since timestamptz`,
  'CREATE INDEX devices_by_waiting ON devices (waiting_since) WHERE sealed_waiting IS NOT NULL',

  // A row exists from the first claim on. Its key is a pseudonym of conversation, device and client. The claimer and the end of
  // the claim, or its completion, are encrypted. expires_on is a day.
  `CREATE TABLE device_additions (
    addition bytea PRIMARY KEY,
    key_id smallint NOT NULL,
    sealed_claim bytea NOT NULL,
    expires_on timestamptz NOT NULL
  ) WITH (fillfactor = 80)`,
  'CREATE INDEX device_additions_by_expiry ON device_additions (expires_on)',
] as const;

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`DROP TABLE device_additions`.execute(db);
  await sql`DROP INDEX devices_by_waiting`.execute(db);
  for (const column of ['sealed_did', 'sealed_push_token', 'sealed_waiting', 'waiting_since']) {
    await sql`ALTER TABLE devices DROP COLUMN ${sql.id(column)}`.execute(db);
  }
}
