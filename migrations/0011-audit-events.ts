import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/** Security events: how often each happened per minute. All words are from a closed list that contains no name or address. */
const statements = [
  `CREATE TABLE audit_events (
    bucket timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind ~ '^[a-z_]{1,32}$'),
    subject text NOT NULL CHECK (subject ~ '^[A-Za-z][A-Za-z0-9_]{0,47}$'),
    count bigint NOT NULL CHECK (count > 0),
    PRIMARY KEY (bucket, kind, subject)
  )`,
  // The digest of each row covers the row before, so that a changed, added or removed row is detected.
  `CREATE TABLE operator_actions (
    action_no bigint PRIMARY KEY CHECK (action_no > 0),
    taken_at timestamptz NOT NULL,
    action text NOT NULL CHECK (action ~ '^[a-z_.]{1,32}$'),
    subject text NOT NULL CHECK (subject ~ '^[a-z][a-z0-9_-]{0,47}$'),
    key_id smallint NOT NULL,
    previous_digest bytea NOT NULL,
    digest bytea NOT NULL
  )`,
  'CREATE INDEX operator_actions_by_time ON operator_actions (taken_at)',
  // Prevents mistakes in our own code. The owner of the table can drop this rule; the digests detect that.
  `CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    RAISE EXCEPTION 'rows of this table are added and removed, never changed';
  END $$`,
  `CREATE TRIGGER operator_actions_stay BEFORE UPDATE ON operator_actions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()`,
] as const;

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`DROP TABLE audit_events, operator_actions`.execute(db);
  await sql`DROP FUNCTION refuse_change`.execute(db);
}
