import { sql } from 'kysely';
import type { Privacy } from '#privacy/privacy.ts';
import { byteaArray } from '#storage/sql/bytea-array.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { beginShuffle } from '#storage/rows/shuffled-rows.ts';
import { deleteUses, selectUses } from './used-key-packages-store.ts';
import type { DeferredUse } from './used-key-packages-store.ts';

const usesPerBatchMax = 512;
/** Minimum number of rows that a batch rewrites, if the table has enough rows that were used on the same days. */
const rowsPerBatchMin = 512;

/**
 * Writes deferred uses into the rows of their packages. Other rows that were used on the same days are rewritten
 * unchanged in the same transaction, so that the transaction ids on disk show only the day of a use.
 * @returns how many uses were written.
 */
export async function applyKeyPackageUses(deps: { readonly db: Db; readonly privacy: Privacy }): Promise<number> {
  const { db, privacy } = deps;
  const uses = await selectUses(db, privacy, usesPerBatchMax);
  if (uses.length === 0) return 0;
  await db.transaction().execute(async (tx) => {
    const others = await selectAppliedOnDaysOf(tx, uses, Math.max(0, rowsPerBatchMin - uses.length));
    await beginShuffle(tx);
    await rewriteUsed(tx, uses, others);
  });
  // A separate transaction deletes the uses, because one transaction would link the rows of both tables. After a crash
  // in between, the next batch repeats the writes, which changes nothing.
  await deleteUses(
    db,
    uses.map(({ use }) => use),
  );
  return uses.length;
}

/** Selects at most `max` random packages whose use on one of the same days is already written into their rows. */
async function selectAppliedOnDaysOf(tx: Tx, uses: readonly DeferredUse[], max: number): Promise<Buffer[]> {
  const days = [...new Set(uses.map(({ usedOn }) => usedOn.toISOString()))];
  const { rows } = await sql<{ ref: Buffer }>`
    SELECT ref FROM key_packages
    WHERE state = 3 AND consumed_at = ANY (ARRAY (SELECT day + interval '1 day' FROM unnest(${`{${days.join(',')}}`}::timestamptz[]) day))
    ORDER BY random() LIMIT ${max}`.execute(tx);
  return rows.map(({ ref }) => ref);
}

/**
 * Writes both groups of rows in one statement, which locks them in the order of refs to prevent deadlocks.
 * `consumed_at` is the end of the day of use, so that the row stays for at least CONSUMED_KEY_PACKAGE_TTL_HOURS.
 */
async function rewriteUsed(tx: Tx, uses: readonly DeferredUse[], others: readonly Buffer[]): Promise<void> {
  const refs = [...uses.map(({ ref }) => ref), ...others];
  const days = [...uses.map(({ usedOn }) => usedOn.toISOString()), ...others.map(() => 'NULL')];
  await sql`
    UPDATE key_packages k
    SET state = 3, claimer = NULL, claimed_at = coalesce(i.used_on, k.claimed_at),
        consumed_at = coalesce(i.used_on + interval '1 day', k.consumed_at), mixed = true
    FROM (
      SELECT l.ref, u.used_on
      FROM (SELECT ref FROM key_packages WHERE ref = ANY (${byteaArray(refs)}::bytea[]) ORDER BY ref FOR NO KEY UPDATE) l
      JOIN unnest(${byteaArray(refs)}::bytea[], ${`{${days.join(',')}}`}::timestamptz[]) AS u(ref, used_on) USING (ref)
    ) i
    WHERE k.ref = i.ref`.execute(tx);
}

/**
 * Rounds the claim time of handed-out packages down to the day (UTC), once a repeated claim can no longer return them.
 * An exact time would link a package to a conversation that was created in the same minute.
 * @returns how many rows were rewritten, `max` at most.
 */
export async function coarsenClaimTimes(db: Db, max: number): Promise<number> {
  const { numAffectedRows } = await sql`
    UPDATE key_packages SET claimed_at = date_trunc('day', claimed_at, 'UTC') WHERE ref = ANY (ARRAY (
      SELECT ref FROM key_packages WHERE ${isExactClaimTime} LIMIT ${max} FOR NO KEY UPDATE SKIP LOCKED))`.execute(db);
  return Number(numAffectedRows ?? 0);
}

/** Contains the condition of the partial index in migrations/0018, so that the query can use the index. */
const isExactClaimTime = sql<boolean>`state = 2 AND (claimed_at AT TIME ZONE 'UTC')::time <> '00:00'
  AND claimed_at < now() - interval '20 minutes'`;

/** Returns whether `coarsenClaimTimes` has rows to rewrite. */
export async function hasExactClaimTimes(db: Db): Promise<boolean> {
  const { rows } = await sql<{ found: boolean }>`
    SELECT EXISTS (SELECT 1 FROM key_packages WHERE ${isExactClaimTime}) AS found`.execute(db);
  return rows[0]?.found === true;
}
