import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import { up as createWithoutReserve } from './0003-claim-key-packages.ts';

export const effect = 'expands';

/**
 * The functions of 0003, by which servers of former releases claim key packages: they do now what those of 0013 do for an owner
 * within the budget, so that the reserve holds while such servers run. An early 0003 had other columns, and an early 0013
 * took these functions away: hence they are made anew.
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

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of [...drops, ...claims]) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const statement of drops) await sql.raw(statement).execute(db);
  await createWithoutReserve(db);
}
