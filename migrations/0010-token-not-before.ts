import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/**
 * Accounts whose older tokens an operator has revoked. The time is exact: a rounded time would refuse valid tokens or accept
 * older ones. A row is deleted when no token from before its time can be valid any more; the row of a suspended account stays.
 */
const statements = [
  `CREATE TABLE token_not_before (
    account bytea PRIMARY KEY,
    sealed_did bytea NOT NULL,
    not_before timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
  )`,
  'CREATE INDEX token_not_before_by_expiry ON token_not_before (expires_at)',
] as const;

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`DROP TABLE token_not_before`.execute(db);
}
