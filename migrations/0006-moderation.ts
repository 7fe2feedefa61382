import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/**
 * Roles, departures that still need a commit, warnings and reports. No row shows who promoted, warned or removed a member. Both
 * parties of a report are encrypted together, so without the key a report names no person and matches no other row.
 */
const statements = [
  // removal_pending: the person is not a member any more, but no commit has removed their leaves from the group yet.
  `ALTER TABLE members
    ADD COLUMN promoted_at timestamptz,
    ADD COLUMN removal_pending boolean NOT NULL DEFAULT false`,

  // Number of removals per day, without names. getAdminStats counts these rows.
  `CREATE TABLE removal_counts (
    group_id bytea NOT NULL,
    day date NOT NULL,
    removals integer NOT NULL,
    PRIMARY KEY (group_id, day)
  )`,

  // Text of the warning that the event with this number delivers. Only the event names the recipient, encrypted.
  `CREATE TABLE warnings (
    group_id bytea NOT NULL,
    event_no bigint NOT NULL,
    sealed_warning bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (group_id, event_no)
  )`,
  'CREATE INDEX warnings_by_expiry ON warnings (expires_at)',

  // The parties are stored apart from the content, so that a list can be filtered without decrypting content that it may not
  // show.
  `CREATE TABLE reports (
    report_id uuid PRIMARY KEY,
    group_id bytea NOT NULL,
    report_no bigint NOT NULL,
    category smallint NOT NULL,
    state smallint NOT NULL,
    sealed_parties bytea NOT NULL,
    sealed_content bytea NOT NULL,
    submitted_at timestamptz NOT NULL,
    sealed_resolution bytea,
    resolved_at timestamptz,
    UNIQUE (group_id, report_no)
  )`,
  'ALTER TABLE reports ALTER COLUMN sealed_content SET STORAGE EXTERNAL',
  'CREATE INDEX reports_by_time ON reports (submitted_at)',
] as const;

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const table of ['reports', 'warnings', 'removal_counts']) await sql`DROP TABLE ${sql.id(table)}`.execute(db);
  await sql`ALTER TABLE members DROP COLUMN promoted_at, DROP COLUMN removal_pending`.execute(db);
}
