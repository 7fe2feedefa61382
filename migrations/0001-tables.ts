import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'contracts';

/**
 * The first schema. A person appears only as a keyed pseudonym for one purpose and scope, or encrypted; `key_id` names the key.
 * All times except those of quota and replay rows are rounded down to the time bucket.
 */
const statements = [
  // Cursors contain the generation, so that the service refuses cursors of a restored or replaced database.
  `CREATE TABLE cursor_generation (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    generation bytea NOT NULL DEFAULT decode(replace(gen_random_uuid()::text, '-', ''), 'hex')
  )`,
  'INSERT INTO cursor_generation DEFAULT VALUES',

  // Fingerprints of the keys of all pseudonyms. A server with another key refuses to start.
  'CREATE TABLE identity_keys (key_id smallint PRIMARY KEY, fingerprint bytea NOT NULL)',

  `CREATE TABLE conversations (
    group_id bytea PRIMARY KEY,
    cipher_suite integer NOT NULL,
    sealed_creator bytea NOT NULL,
    sealed_metadata bytea,
    created_at timestamptz NOT NULL
  )`,

  // Every send rewrites a row of this table, so the table has few columns. Half of each page is free, so that updates stay on the
  // page (HOT).
  `CREATE TABLE conversation_counters (
    group_id bytea PRIMARY KEY,
    epoch bigint NOT NULL,
    last_seq bigint NOT NULL DEFAULT 0,
    last_event bigint NOT NULL DEFAULT 0,
    last_position bigint NOT NULL DEFAULT 0
  ) WITH (fillfactor = 50)`,

  // The tree inside a GroupInfo shows the members, so it is encrypted. It is served only in its own epoch.
  `CREATE TABLE group_infos (
    group_id bytea PRIMARY KEY,
    epoch bigint NOT NULL,
    sealed_group_info bytea NOT NULL,
    updated_at timestamptz NOT NULL
  )`,

  // joined_* and left_* limit what the person may read: nothing from before joining, nothing from after leaving.
  `CREATE TABLE members (
    group_id bytea NOT NULL,
    member bytea NOT NULL,
    key_id smallint NOT NULL,
    sealed_did bytea NOT NULL,
    role smallint NOT NULL,
    state smallint NOT NULL,
    joined_at timestamptz NOT NULL,
    joined_seq bigint NOT NULL,
    joined_event bigint NOT NULL,
    left_event bigint,
    PRIMARY KEY (group_id, member)
  ) WITH (fillfactor = 80)`,

  // A person's list of conversations is one encrypted, padded value, so that it links no rows of two conversations.
  `CREATE TABLE accounts (
    account bytea PRIMARY KEY,
    key_id smallint NOT NULL,
    sealed_did bytea NOT NULL,
    sealed_list bytea NOT NULL
  ) WITH (fillfactor = 50)`,

  `CREATE TABLE devices (
    device_id uuid PRIMARY KEY,
    owner bytea NOT NULL,
    key_id smallint NOT NULL,
    tag bytea NOT NULL UNIQUE,
    uuid_tag bytea UNIQUE,
    sealed_device bytea NOT NULL,
    registered_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL
  )`,
  'CREATE INDEX devices_by_owner ON devices (owner)',

  // claimer: pseudonym of the person who claimed the package, scoped to the owner. A consumed row remains for a while, so that
  // the same package is refused when it is published again.
  `CREATE TABLE key_packages (
    ref bytea PRIMARY KEY,
    owner bytea NOT NULL,
    key_id smallint NOT NULL,
    device_tag bytea NOT NULL,
    cipher_suite integer NOT NULL,
    last_resort boolean NOT NULL,
    state smallint NOT NULL,
    sealed_did bytea NOT NULL,
    sealed_package bytea NOT NULL,
    published_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    claimer bytea,
    claimed_at timestamptz,
    consumed_at timestamptz
  ) WITH (fillfactor = 50)`,
  'CREATE INDEX key_packages_by_owner ON key_packages (owner, cipher_suite, device_tag, published_at, ref)',
  'CREATE INDEX key_packages_by_expiry ON key_packages (expires_at)',

  // One Welcome is for many joiners, so its encrypted bytes are stored once.
  `CREATE TABLE welcome_messages (
    group_id bytea NOT NULL,
    epoch bigint NOT NULL,
    sealed_welcome bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (group_id, epoch)
  )`,
  // ref and device are keyed pseudonyms scoped to the conversation: a plain ref would link two conversations.
  `CREATE TABLE welcomes (
    group_id bytea NOT NULL,
    ref bytea NOT NULL,
    epoch bigint NOT NULL,
    recipient bytea NOT NULL,
    device bytea NOT NULL,
    key_id smallint NOT NULL,
    state smallint NOT NULL,
    created_at timestamptz NOT NULL,
    fetched_at timestamptz,
    consumed_at timestamptz,
    PRIMARY KEY (group_id, ref),
    FOREIGN KEY (group_id, epoch) REFERENCES welcome_messages ON DELETE CASCADE
  )`,
  'CREATE INDEX welcomes_by_recipient ON welcomes (group_id, recipient, epoch)',

  // Servers and workers create partitions in advance. There is no default partition, so dropping one never scans rows.
  `CREATE TABLE messages (
    group_id bytea NOT NULL,
    seq bigint NOT NULL,
    epoch bigint NOT NULL,
    kind smallint NOT NULL,
    msg_id text NOT NULL,
    received_at timestamptz NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (group_id, seq, received_at)
  ) PARTITION BY RANGE (received_at)`,
  // Ciphertext does not compress; EXTERNAL skips the attempt.
  'ALTER TABLE messages ALTER COLUMN body SET STORAGE EXTERNAL',
  'CREATE INDEX messages_by_msg_id ON messages (group_id, msg_id)',
  'CREATE INDEX commits_by_epoch ON messages (group_id, epoch) WHERE kind = 2',

  `CREATE TABLE events (
    group_id bytea NOT NULL,
    position bigint NOT NULL,
    event_no bigint NOT NULL,
    received_at timestamptz NOT NULL,
    kind smallint NOT NULL,
    seq bigint,
    epoch bigint,
    sealed_did bytea,
    PRIMARY KEY (group_id, position, event_no, received_at)
  ) PARTITION BY RANGE (received_at)`,
  'CREATE INDEX events_by_position ON events (position, group_id, event_no)',

  // Unlogged: entries are needed for minutes only. A crash empties both tables, and then the row that marks the start of the
  // record is missing.
  'CREATE UNLOGGED TABLE replay_entries (digest bytea PRIMARY KEY, expires_at timestamptz NOT NULL)',
  'CREATE INDEX replay_entries_by_expiry ON replay_entries (expires_at)',
  `CREATE UNLOGGED TABLE replay_birth (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    born_at timestamptz NOT NULL
  )`,
  // No token was used before the first migration, so none is refused for having been issued earlier.
  "INSERT INTO replay_birth (born_at) VALUES (now() - interval '1 hour')",
] as const;

const tables = [
  'replay_birth',
  'replay_entries',
  'events',
  'messages',
  'welcomes',
  'welcome_messages',
  'key_packages',
  'devices',
  'accounts',
  'members',
  'group_infos',
  'conversation_counters',
  'conversations',
  'identity_keys',
  'cursor_generation',
] as const;

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const table of tables) await sql`DROP TABLE ${sql.id(table)}`.execute(db);
}
