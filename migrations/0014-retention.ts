import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/** Indexes with which every clean-up finds the rows to delete, so that none reads a whole table. */
const indexes = [
  'CREATE INDEX welcomes_by_consumption ON welcomes (consumed_at) WHERE state = 3',
  'CREATE INDEX welcomes_by_creation ON welcomes (created_at) WHERE state <> 3',
  'CREATE INDEX welcome_messages_by_creation ON welcome_messages (created_at)',
  'CREATE INDEX invites_by_expiry ON invites (expires_at)',
  'CREATE INDEX invites_by_revocation ON invites (revoked_at)',
  'CREATE INDEX invites_used_up ON invites (created_at) WHERE use_count >= max_uses',
  'CREATE INDEX removal_counts_by_day ON removal_counts (day)',
  'CREATE INDEX chat_requests_by_expiry ON chat_requests (expires_at) WHERE state = 1',
  'CREATE INDEX chat_requests_by_answer ON chat_requests (answered_at) WHERE state = 2',
  'CREATE INDEX key_packages_by_consumption ON key_packages (consumed_at) WHERE state = 3',
] as const;

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of indexes) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const statement of indexes) {
    const [, name = ''] = /^CREATE INDEX (\w+)/.exec(statement) ?? [];
    await sql`DROP INDEX ${sql.id(name)}`.execute(db);
  }
}
