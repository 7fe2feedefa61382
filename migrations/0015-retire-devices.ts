import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/**
 * A device that was not seen for a long time is flagged (`inactive_since`, a day) and later removed with its key packages. The
 * worker finds them by the tag alone, because it has no key to derive the pseudonym of their owner.
 *
 * `expires_at` of a key package is the end of its own lifetime. `kept_until` is when the row is deleted, unless it is the last
 * package of a device in use. Rows of earlier releases have no `kept_until` and end with `expires_at`.
 */
const statements = [
  'ALTER TABLE devices ADD COLUMN inactive_since timestamptz',
  'CREATE INDEX devices_by_last_seen ON devices (last_seen_at) WHERE inactive_since IS NULL',
  'CREATE INDEX devices_by_inactivity ON devices (inactive_since) WHERE inactive_since IS NOT NULL',
  'ALTER TABLE key_packages ADD COLUMN kept_until timestamptz',
  'CREATE INDEX key_packages_by_keeping ON key_packages (coalesce(kept_until, expires_at))',
  'CREATE INDEX key_packages_by_device ON key_packages (device_tag)',
] as const;

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const index of [
    'key_packages_by_device',
    'key_packages_by_keeping',
    'devices_by_inactivity',
    'devices_by_last_seen',
  ]) {
    await sql`DROP INDEX ${sql.id(index)}`.execute(db);
  }
  await sql`ALTER TABLE key_packages DROP COLUMN kept_until`.execute(db);
  await sql`ALTER TABLE devices DROP COLUMN inactive_since`.execute(db);
}
