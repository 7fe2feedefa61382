import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/**
 * Servers of earlier releases claim key packages with the functions of 0003. These functions now do what those of 0013 do for an
 * owner within the claim limit, so that the reserve holds beside such servers. Early versions of 0003 and 0013 had other columns
 * or dropped these functions, so they are created again.
 */
const drops = [
  'DROP FUNCTION IF EXISTS claim_key_packages(bytea[], bytea[], integer, integer, integer)',
  'DROP FUNCTION IF EXISTS claim_device_key_package(bytea, bytea, bytea, integer, integer)',
] as const;

const claims = [
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

/** The function of 0003. */
const claimsWithoutReserve = [
  `
CREATE FUNCTION claim_device_key_package(
  p_owner bytea, p_claimer bytea, p_device bytea, p_suite integer, p_bucket_seconds integer
) RETURNS TABLE (ref bytea, sealed_package bytea)
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
BEGIN
  PERFORM pg_advisory_xact_lock(('x' || encode(substring(p_claimer FROM 1 FOR 8), 'hex'))::bit(64)::bigint);
  -- The same caller asking again within ten minutes gets the same package, so retries don't drain the pool.
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
END $$`,
  `
CREATE FUNCTION claim_key_packages(
  p_owner bytea[], p_claimer bytea[], p_suite integer, p_devices_max integer, p_bucket_seconds integer
) RETURNS TABLE (owner bytea, ref bytea, sealed_package bytea)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  v_owner bytea;
  v_claimer bytea;
  v_device bytea;
BEGIN
  FOR v_owner, v_claimer IN
    SELECT i.owner, i.claimer FROM unnest(p_owner, p_claimer) AS i(owner, claimer) ORDER BY i.owner
  LOOP
    FOR v_device IN
      SELECT newest.device_tag FROM (
        SELECT k.device_tag FROM key_packages k
        WHERE k.owner = v_owner AND k.cipher_suite = p_suite AND k.state <> 3 AND k.expires_at > clock_timestamp()
        GROUP BY k.device_tag ORDER BY max(k.published_at) DESC, k.device_tag LIMIT p_devices_max
      ) newest ORDER BY newest.device_tag
    LOOP
      RETURN QUERY SELECT v_owner, c.ref, c.sealed_package
        FROM claim_device_key_package(v_owner, v_claimer, v_device, p_suite, p_bucket_seconds) c;
    END LOOP;
  END LOOP;
END $$`,
] as const;

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of [...drops, ...claims]) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const statement of [...drops, ...claimsWithoutReserve]) await sql.raw(statement).execute(db);
}
