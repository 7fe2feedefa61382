import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/**
 * Policies, invites, and what a member who lost the group's state has asked for. Who changed a policy, made an invite or is meant
 * by one stands sealed. `secret` is a keyed pseudonym of the invite's PSK hash: the hash itself would open the door to a thief.
 */
const statements = [
  `CREATE TABLE policies (
    group_id bytea PRIMARY KEY,
    allow_invites boolean NOT NULL,
    admin_only_invites boolean NOT NULL,
    allow_member_add boolean NOT NULL,
    allow_member_remove boolean NOT NULL,
    require_admin_approval boolean NOT NULL,
    max_members integer NOT NULL,
    sealed_updated_by bytea NOT NULL,
    updated_at timestamptz NOT NULL
  )`,

  `CREATE TABLE invites (
    invite_id uuid PRIMARY KEY,
    group_id bytea NOT NULL,
    invite_no bigint NOT NULL,
    secret bytea NOT NULL,
    key_id smallint NOT NULL,
    sealed_invite bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    max_uses bigint,
    use_count bigint NOT NULL DEFAULT 0,
    revoked_at timestamptz,
    sealed_revoked_by bytea,
    UNIQUE (group_id, invite_no)
  )`,

  // needs_rejoin: asked to be added anew. The times keep one person from asking the others again and again.
  `ALTER TABLE members
    ADD COLUMN needs_rejoin boolean NOT NULL DEFAULT false,
    ADD COLUMN readdition_asked_at timestamptz,
    ADD COLUMN group_info_asked_at timestamptz`,

  // What an event is about, where a number of the conversation does not say it.
  'ALTER TABLE events ADD COLUMN reference uuid',
] as const;

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE events DROP COLUMN reference`.execute(db);
  await sql`ALTER TABLE members DROP COLUMN needs_rejoin, DROP COLUMN readdition_asked_at, DROP COLUMN group_info_asked_at`.execute(
    db,
  );
  for (const table of ['invites', 'policies']) await sql`DROP TABLE ${sql.id(table)}`.execute(db);
}
