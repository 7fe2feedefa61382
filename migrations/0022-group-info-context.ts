import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/**
 * SHA-256 of the parts that all GroupInfos of one epoch have in common. Rows of earlier releases have none and may be replaced by
 * any valid GroupInfo.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE group_infos ADD COLUMN context_digest bytea`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE group_infos DROP COLUMN context_digest`.execute(db);
}
