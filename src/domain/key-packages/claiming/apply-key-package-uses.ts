import { sql } from 'kysely';
import type { Privacy } from '#privacy/privacy.ts';
import { byteaArray } from '#storage/sql/bytea-array.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { beginShuffle } from '#storage/rows/shuffled-rows.ts';
import { deleteUses, selectUses } from './used-packages.ts';
import type { PackageUsed } from './used-packages.ts';

const usesPerBatchMax = 512;
/** So many rows are rewritten at once, if there are as many that look alike. */
const rowsPerBatchMin = 512;

/**
 * Carries uses of packages over into the packages' rows, together with others that were used on the same day and are rewritten as
 * they are, so that the transaction ids in the data folder tell no more than the day. What stays of a use is that day:
 * `consumed_at` is its end, so that a row stays for at least the 24 hours that the clean-up allows it. The notes are deleted in a
 * later transaction; if the process dies before, the next batch does the same again, which changes nothing.
 * @returns how many uses were carried over.
 */
export async function applyKeyPackageUses(deps: { readonly db: Db; readonly privacy: Privacy }): Promise<number> {
  const { db, privacy } = deps;
  const uses = await selectUses(db, privacy, usesPerBatchMax);
  if (uses.length === 0) return 0;
  await db.transaction().execute(async (tx) => {
    const others = await selectUsedOnDaysOf(tx, uses, Math.max(0, rowsPerBatchMin - uses.length));
    await beginShuffle(tx);
    await rewriteUsed(tx, uses, others);
  });
  await deleteUses(
    db,
    uses.map(({ use }) => use),
  );
  return uses.length;
}

/** At random. Only few uses wait where it reads many rows: a busy server has no need of others. */
async function selectUsedOnDaysOf(tx: Tx, uses: readonly PackageUsed[], max: number): Promise<Buffer[]> {
  const days = [...new Set(uses.map(({ usedOn }) => usedOn.toISOString()))];
  const { rows } = await sql<{ ref: Buffer }>`
    SELECT ref FROM key_packages
    WHERE state = 3 AND consumed_at = ANY (ARRAY (SELECT day + interval '1 day' FROM unnest(${`{${days.join(',')}}`}::timestamptz[]) day))
    ORDER BY random() LIMIT ${max}`.execute(tx);
  return rows.map(({ ref }) => ref);
}

/** Rows are locked in the order of their refs, as everywhere. */
async function rewriteUsed(tx: Tx, uses: readonly PackageUsed[], others: readonly Buffer[]): Promise<void> {
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
 * Makes a day of the time at which packages were handed out that nobody has used, once the caller can no longer ask for the same one
 * again: that minute would lead to the conversation that was made in it.
 * @returns how many rows were rewritten, `max` at most.
 */
export async function coarsenClaimTimes(db: Db, max: number): Promise<number> {
  const { numAffectedRows } = await sql`
    UPDATE key_packages SET claimed_at = date_trunc('day', claimed_at, 'UTC') WHERE ref = ANY (ARRAY (
      SELECT ref FROM key_packages WHERE ${isExactClaimTime} LIMIT ${max} FOR NO KEY UPDATE SKIP LOCKED))`.execute(db);
  return Number(numAffectedRows ?? 0);
}

/** As the partial index of migrations/0018. */
const isExactClaimTime = sql<boolean>`state = 2 AND (claimed_at AT TIME ZONE 'UTC')::time <> '00:00'
  AND claimed_at < now() - interval '20 minutes'`;

/** Whether anything waits for `coarsenClaimTimes`. */
export async function hasExactClaimTimes(db: Db): Promise<boolean> {
  const { rows } = await sql<{ found: boolean }>`
    SELECT EXISTS (SELECT 1 FROM key_packages WHERE ${isExactClaimTime}) AS found`.execute(db);
  return rows[0]?.found === true;
}
