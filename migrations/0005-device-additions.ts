import { sql } from 'kysely';
import type { Kysely } from 'kysely';

/**
 * A device that is new to its owner's conversations waits in each of them until a member adds it. Nothing is written in those
 * conversations, nor a row for each of them: rows and events written together would join one person's conversations
 * (docs/decisions/0004). `sealed_waiting` is the sealed, padded list of them, of the sizes that an account's list has.
 */
const statements = [
  `ALTER TABLE devices
    ADD COLUMN sealed_did bytea,
    ADD COLUMN sealed_push_token bytea,
    ADD COLUMN sealed_waiting bytea,
    ADD COLUMN waiting_since timestamptz`,
  'CREATE INDEX devices_by_waiting ON devices (waiting_since) WHERE sealed_waiting IS NOT NULL',

  // Exists from the first claim on. The key is a pseudonym of conversation, device and client; who claimed it until when, or
  // that it is done, stands in the seal. expires_on is a day.
  `CREATE TABLE device_additions (
    addition bytea PRIMARY KEY,
    key_id smallint NOT NULL,
    sealed_claim bytea NOT NULL,
    expires_on timestamptz NOT NULL
  ) WITH (fillfactor = 80)`,
  'CREATE INDEX device_additions_by_expiry ON device_additions (expires_on)',
] as const;

/**
 * `claim_key_packages` of migrations/0003 for one device of one owner: the same order of steps under the same locks, so
 * that a package goes to one caller whichever of the two functions hands it out.
 */
const createFunction = `
CREATE FUNCTION claim_device_key_package(
  p_owner bytea, p_claimer bytea, p_device bytea, p_suite integer, p_bucket_seconds integer
) RETURNS TABLE (ref bytea, sealed_package bytea)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := clock_timestamp();
  v_bucket timestamptz :=
    to_timestamp(floor(extract(epoch FROM clock_timestamp()) / p_bucket_seconds) * p_bucket_seconds);
  v_retry_from timestamptz :=
    to_timestamp(floor(extract(epoch FROM clock_timestamp() - interval '10 minutes') / p_bucket_seconds) * p_bucket_seconds);
  v_ref bytea;
BEGIN
  PERFORM pg_advisory_xact_lock(('x' || encode(substring(p_claimer FROM 1 FOR 8), 'hex'))::bit(64)::bigint);
  SELECT k.ref INTO v_ref FROM key_packages k
  WHERE k.owner = p_owner AND k.cipher_suite = p_suite AND k.device_tag = p_device AND k.state = 2
    AND k.claimer = p_claimer AND k.claimed_at >= v_retry_from AND k.expires_at > v_now
  ORDER BY k.claimed_at DESC, k.ref LIMIT 1;
  IF NOT FOUND THEN
    SELECT k.ref INTO v_ref FROM key_packages k
    WHERE k.owner = p_owner AND k.cipher_suite = p_suite AND k.device_tag = p_device AND k.state = 1
      AND NOT k.last_resort AND k.expires_at > v_now
    ORDER BY k.published_at, k.ref LIMIT 1 FOR UPDATE SKIP LOCKED;
    WHILE NOT FOUND LOOP
      EXIT WHEN NOT EXISTS (
        SELECT 1 FROM key_packages k
        WHERE k.owner = p_owner AND k.cipher_suite = p_suite AND k.device_tag = p_device AND k.state = 1
          AND NOT k.last_resort AND k.expires_at > v_now);
      SELECT k.ref INTO v_ref FROM key_packages k
      WHERE k.owner = p_owner AND k.cipher_suite = p_suite AND k.device_tag = p_device AND k.state = 1
        AND NOT k.last_resort AND k.expires_at > v_now
      ORDER BY k.published_at, k.ref LIMIT 1 FOR UPDATE;
    END LOOP;
    IF v_ref IS NOT NULL THEN
      UPDATE key_packages k SET state = 2, claimer = p_claimer, claimed_at = v_bucket WHERE k.ref = v_ref;
    END IF;
  END IF;
  IF v_ref IS NULL THEN
    SELECT k.ref INTO v_ref FROM key_packages k
    WHERE k.owner = p_owner AND k.cipher_suite = p_suite AND k.device_tag = p_device AND k.state = 1
      AND k.last_resort AND k.expires_at > v_now
    ORDER BY k.published_at DESC, k.ref LIMIT 1;
  END IF;
  RETURN QUERY SELECT k.ref, k.sealed_package FROM key_packages k WHERE k.ref = v_ref;
END $$`;

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
  await sql.raw(createFunction).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`DROP FUNCTION claim_device_key_package`.execute(db);
  await sql`DROP TABLE device_additions`.execute(db);
  await sql`DROP INDEX devices_by_waiting`.execute(db);
  for (const column of ['sealed_did', 'sealed_push_token', 'sealed_waiting', 'waiting_since']) {
    await sql`ALTER TABLE devices DROP COLUMN ${sql.id(column)}`.execute(db);
  }
}
