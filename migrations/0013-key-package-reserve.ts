import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/**
 * Replaces the functions of 0003 with a reserve and a claim limit. The newest one-time package of a device with a last-resort
 * package is never claimed: it is needed when the last-resort package expires or is withdrawn. The rule names the newest and not
 * the last package, so that two claimers who lock the last two at once cannot both succeed: the holder of the newest in its
 * snapshot would have to see a newer one.
 *
 * If the owner's claim limit is exhausted (`p_in_budget` false), the last-resort package is returned instead of a one-time
 * package. A device without a last-resort package gives one-time packages down to the reserve. A package that the caller claimed
 * within the last ten minutes is returned again in any case. `fresh` reports that a one-time package was claimed.
 */
const claimOfDevice = `
CREATE FUNCTION claim_device_key_package(
  p_owner bytea, p_claimer bytea, p_device bytea, p_suite integer, p_bucket_seconds integer, p_in_budget boolean
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
        FROM claim_device_key_package(v_owner, v_claimer, v_device, p_suite, p_bucket_seconds, v_in_budget) c;
    END LOOP;
  END LOOP;
END $$`;

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(claimOfDevice).execute(db);
  await sql.raw(claimOfOwners).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`DROP FUNCTION claim_key_packages(bytea[], bytea[], boolean[], integer, integer, integer)`.execute(db);
  await sql`DROP FUNCTION claim_device_key_package(bytea, bytea, bytea, integer, integer, boolean)`.execute(db);
}
