import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/**
 * SHA-256 over what all GroupInfos of one epoch of a group have in common. Rows of former releases have none and may be replaced by
 * any valid GroupInfo.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE group_infos ADD COLUMN context_digest bytea`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE group_infos DROP COLUMN context_digest`.execute(db);
}
