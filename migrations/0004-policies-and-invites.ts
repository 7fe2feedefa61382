import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/**
 * Policies, invites, and requests of members who have lost the group state. The author of a policy, and the creator and target of
 * an invite, are encrypted. `secret` is a keyed pseudonym of the invite's PSK hash: with the hash itself, an attacker with a copy
 * of the database could join.
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

  // needs_rejoin: the member has requested to be added again. The times limit how often one person may send such requests.
  `ALTER TABLE members
    ADD COLUMN needs_rejoin boolean NOT NULL DEFAULT false,
    ADD COLUMN readdition_asked_at timestamptz,
    ADD COLUMN group_info_asked_at timestamptz`,

  // Subject of an event, if no number of the conversation identifies it.
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
