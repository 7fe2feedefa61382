import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE policies ADD COLUMN handshakes text NOT NULL DEFAULT 'any'`.execute(db);
  // Finds the proposals that a commit may refer to.
  await sql`CREATE INDEX proposals_by_epoch ON messages (group_id, epoch) WHERE kind = 3`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`DROP INDEX proposals_by_epoch`.execute(db);
  await sql`ALTER TABLE policies DROP COLUMN handshakes`.execute(db);
}
