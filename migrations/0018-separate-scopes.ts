import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'contracts';

/*
 * A copied data folder shows the transaction of every row (xmin, xmax). From this migration on, no transaction writes or locks
 * rows of a person (accounts, key_packages) together with rows of a conversation. Writes to rows of persons wait in the two
 * tables below, and `applyDeferredWrites` of the servers applies them in batches.
 *
 * `key_packages.ref` becomes a keyed pseudonym of the KeyPackageRef. Migrations have no key, so existing rows cannot be converted
 * here, and with two forms every lookup would have to try both. No release has been published, so the rows are deleted, and
 * clients are notified to publish key packages. `chat_requests.request_id` becomes a keyed pseudonym in the same way, because the
 * id of an accepted request was the group id of its conversation in cleartext: pending requests are lost. For the same reason,
 * servers of earlier commits cannot run on this schema: they would store plain references.
 */
const tables = [
  'DELETE FROM key_packages',
  'DELETE FROM chat_requests',
  `CREATE TABLE used_key_packages (
    use bytea PRIMARY KEY,
    sealed_ref bytea NOT NULL,
    used_on timestamptz NOT NULL
  )`,
  `CREATE TABLE conversation_list_changes (
    change_id uuid PRIMARY KEY,
    group_id bytea NOT NULL,
    member bytea NOT NULL
  )`,
  // Time of the last batch, of any server.
  `CREATE TABLE last_settlement (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    settled_at timestamptz NOT NULL
  )`,
  "INSERT INTO last_settlement (settled_at) VALUES (date_trunc('minute', now()))",
  // Claimed packages with a time more exact than a day; see `apply-key-package-uses.ts`.
  `CREATE INDEX key_packages_by_claim ON key_packages (claimed_at)
    WHERE state = 2 AND (claimed_at AT TIME ZONE 'UTC')::time <> '00:00'`,
] as const;

/** Tables about people across conversations; see src/storage/rows/shuffled-rows.ts. */
const mixed = [
  'accounts',
  'devices',
  'key_packages',
  'chat_requests',
  'chat_request_messages',
  'chat_sender_blocks',
] as const;

/** Marks every row that is written, except rows that are rewritten in order to shuffle them. */
const markWritten = `
CREATE FUNCTION mark_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.mixed := current_setting('nightjar.mixing', true) IS NOT DISTINCT FROM 'on';
  RETURN NEW;
END $$`;

const formerClaims = [
  'claim_key_packages(bytea[], bytea[], integer, integer, integer)',
  'claim_device_key_package(bytea, bytea, bytea, integer, integer)',
  'claim_key_packages(bytea[], bytea[], boolean[], integer, integer, integer)',
  'claim_device_key_package(bytea, bytea, bytea, integer, integer, boolean)',
] as const;

/**
 * The function of 0013, but a package in `p_used` is not returned to its claimer again: the row of a package does not show at
 * once that it was used, and only the caller, who has the key, can tell. The changed parts are in brackets.
 */
const claimOfDevice = `
CREATE FUNCTION claim_device_key_package(
  p_owner bytea, p_claimer bytea, p_device bytea, p_suite integer, p_bucket_seconds integer, p_in_budget boolean
  [, p_used bytea[]]
) RETURNS TABLE (ref bytea, sealed_package bytea, fresh boolean)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := clock_timestamp();
  v_bucket timestamptz :=
    to_timestamp(floor(extract(epoch FROM clock_timestamp()) / p_bucket_seconds) * p_bucket_seconds);
  -- claimed_at is rounded down, so the window's start is too.
  v_retry_from timestamptz :=
    to_timestamp(floor(extract(epoch FROM clock_timestamp() - interval '10 minutes') / p_bucket_seconds) * p_bucket_seconds);
  v_ref bytea;
  v_has_last_resort boolean;
  v_keeps_newest boolean;
  v_fresh boolean := false;
BEGIN
  PERFORM pg_advisory_xact_lock(('x' || encode(substring(p_claimer FROM 1 FOR 8), 'hex'))::bit(64)::bigint);
  -- The same caller asking again within ten minutes gets the same package, so retries don't drain the pool.
  SELECT k.ref INTO v_ref FROM key_packages k
  WHERE k.owner = p_owner AND k.cipher_suite = p_suite AND k.device_tag = p_device AND k.state = 2
    AND k.claimer = p_claimer AND k.claimed_at >= v_retry_from AND k.expires_at > v_now
    [AND k.ref <> ALL (p_used)]
  ORDER BY k.claimed_at DESC, k.ref LIMIT 1;
  IF v_ref IS NULL THEN
    v_has_last_resort := EXISTS (
      SELECT 1 FROM key_packages k
      WHERE k.owner = p_owner AND k.cipher_suite = p_suite AND k.device_tag = p_device AND k.state = 1
        AND k.last_resort AND k.expires_at > v_now);
    v_keeps_newest := v_has_last_resort OR NOT p_in_budget;
  END IF;
  IF v_ref IS NULL AND (p_in_budget OR NOT v_has_last_resort) THEN
    SELECT k.ref INTO v_ref FROM key_packages k
    WHERE k.owner = p_owner AND k.cipher_suite = p_suite AND k.device_tag = p_device AND k.state = 1
      AND NOT k.last_resort AND k.expires_at > v_now
      AND (NOT v_keeps_newest OR EXISTS (
        SELECT 1 FROM key_packages n
        WHERE n.owner = p_owner AND n.cipher_suite = p_suite AND n.device_tag = p_device AND n.state = 1
          AND NOT n.last_resort AND n.expires_at > v_now AND (n.published_at, n.ref) > (k.published_at, k.ref)))
    ORDER BY k.published_at, k.ref LIMIT 1 FOR UPDATE OF k SKIP LOCKED;
    WHILE NOT FOUND LOOP
      SELECT k.ref INTO v_ref FROM key_packages k
      WHERE k.owner = p_owner AND k.cipher_suite = p_suite AND k.device_tag = p_device AND k.state = 1
        AND NOT k.last_resort AND k.expires_at > v_now
        AND (NOT v_keeps_newest OR EXISTS (
          SELECT 1 FROM key_packages n
          WHERE n.owner = p_owner AND n.cipher_suite = p_suite AND n.device_tag = p_device AND n.state = 1
            AND NOT n.last_resort AND n.expires_at > v_now AND (n.published_at, n.ref) > (k.published_at, k.ref)))
      ORDER BY k.published_at, k.ref LIMIT 1;
      EXIT WHEN NOT FOUND;
      -- Waits for whoever holds the row; if it is gone then, the look begins anew.
      SELECT k.ref INTO v_ref FROM key_packages k WHERE k.ref = v_ref AND k.state = 1 FOR UPDATE;
    END LOOP;
    IF v_ref IS NOT NULL THEN
      UPDATE key_packages k SET state = 2, claimer = p_claimer, claimed_at = v_bucket WHERE k.ref = v_ref;
      v_fresh := true;
    END IF;
  END IF;
  IF v_ref IS NULL THEN
    SELECT k.ref INTO v_ref FROM key_packages k
    WHERE k.owner = p_owner AND k.cipher_suite = p_suite AND k.device_tag = p_device AND k.state = 1
      AND k.last_resort AND k.expires_at > v_now
    ORDER BY k.published_at DESC, k.ref LIMIT 1;
  END IF;
  RETURN QUERY SELECT k.ref, k.sealed_package, v_fresh FROM key_packages k WHERE k.ref = v_ref;
END $$`;

/**
 * Claims at most one package per device of each owner. Owners and devices are processed in order, so two callers cannot deadlock.
 */
const claimOfOwners = `
CREATE FUNCTION claim_key_packages(
  p_owner bytea[], p_claimer bytea[], p_in_budget boolean[], p_suite integer, p_devices_max integer, p_bucket_seconds integer
  [, p_used bytea[]]
) RETURNS TABLE (owner bytea, ref bytea, sealed_package bytea, fresh boolean)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  v_owner bytea;
  v_claimer bytea;
  v_in_budget boolean;
  v_device bytea;
BEGIN
  FOR v_owner, v_claimer, v_in_budget IN
    SELECT i.owner, i.claimer, i.in_budget FROM unnest(p_owner, p_claimer, p_in_budget) AS i(owner, claimer, in_budget)
    ORDER BY i.owner
  LOOP
    FOR v_device IN
      SELECT newest.device_tag FROM (
        SELECT k.device_tag FROM key_packages k
        WHERE k.owner = v_owner AND k.cipher_suite = p_suite AND k.state <> 3 AND k.expires_at > clock_timestamp()
        GROUP BY k.device_tag ORDER BY max(k.published_at) DESC, k.device_tag LIMIT p_devices_max
      ) newest ORDER BY newest.device_tag
    LOOP
      RETURN QUERY SELECT v_owner, c.ref, c.sealed_package, c.fresh
        FROM claim_device_key_package(v_owner, v_claimer, v_device, p_suite, p_bucket_seconds, v_in_budget[, p_used]) c;
    END LOOP;
  END LOOP;
END $$`;

const parts = /\[(, p_used bytea\[\]|, p_used|AND k\.ref <> ALL \(p_used\))\]/g;
const withUsed = (text: string): string => text.replace(parts, '$1');
const without = (text: string): string => text.replace(parts, '');

/** The functions of 0016. */
const claimsWithoutBudget = [
  `CREATE FUNCTION claim_device_key_package(
    p_owner bytea, p_claimer bytea, p_device bytea, p_suite integer, p_bucket_seconds integer
  ) RETURNS TABLE (ref bytea, sealed_package bytea)
  LANGUAGE sql VOLATILE AS $$
    SELECT c.ref, c.sealed_package
    FROM claim_device_key_package(p_owner, p_claimer, p_device, p_suite, p_bucket_seconds, true) c
  $$`,
  `CREATE FUNCTION claim_key_packages(
    p_owner bytea[], p_claimer bytea[], p_suite integer, p_devices_max integer, p_bucket_seconds integer
  ) RETURNS TABLE (owner bytea, ref bytea, sealed_package bytea)
  LANGUAGE sql VOLATILE AS $$
    SELECT c.owner, c.ref, c.sealed_package
    FROM claim_key_packages(
      p_owner, p_claimer, array_fill(true, ARRAY[cardinality(p_owner)]), p_suite, p_devices_max, p_bucket_seconds) c
  $$`,
] as const;

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of tables) await sql.raw(statement).execute(db);
  await sql.raw(markWritten).execute(db);
  for (const table of mixed) {
    const statements = [
      `ALTER TABLE ${table} ADD COLUMN mixed boolean NOT NULL DEFAULT false`,
      `CREATE INDEX ${table}_unmixed ON ${table} ((true)) WHERE NOT mixed`,
      `CREATE TRIGGER mark_written BEFORE UPDATE ON ${table} FOR EACH ROW WHEN (NEW.mixed) EXECUTE FUNCTION mark_written()`,
    ];
    for (const statement of statements) await sql.raw(statement).execute(db);
  }
  for (const name of formerClaims) await sql.raw(`DROP FUNCTION ${name}`).execute(db);
  await sql.raw(withUsed(claimOfDevice)).execute(db);
  await sql.raw(withUsed(claimOfOwners)).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`DROP FUNCTION claim_key_packages(bytea[], bytea[], boolean[], integer, integer, integer, bytea[])`.execute(
    db,
  );
  await sql`DROP FUNCTION claim_device_key_package(bytea, bytea, bytea, integer, integer, boolean, bytea[])`.execute(
    db,
  );
  for (const table of mixed) {
    await sql.raw(`DROP TRIGGER mark_written ON ${table}`).execute(db);
    await sql.raw(`ALTER TABLE ${table} DROP COLUMN mixed`).execute(db);
  }
  await sql`DROP FUNCTION mark_written()`.execute(db);
  await sql`DROP INDEX key_packages_by_claim`.execute(db);
  await sql`DROP TABLE last_settlement`.execute(db);
  await sql`DROP TABLE conversation_list_changes`.execute(db);
  await sql`DROP TABLE used_key_packages`.execute(db);
  await sql`DELETE FROM key_packages`.execute(db);
  await sql`DELETE FROM chat_requests`.execute(db);
  for (const statement of [without(claimOfDevice), without(claimOfOwners), ...claimsWithoutBudget])
    await sql.raw(statement).execute(db);
}
