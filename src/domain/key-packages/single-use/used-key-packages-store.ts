import { sql } from 'kysely';
import type { Privacy } from '#privacy/privacy.ts';
import { bucketedNow } from '#storage/sql/bucketed-now.ts';
import { byteaArray } from '#storage/sql/bytea-array.ts';
import type { Db, Tx } from '#storage/connection/database.ts';

const secondsPerDay = 86_400;

/*
 * A Welcome must not write or lock the row of a package, because the transaction ids on disk would then link the
 * package to the conversation. It inserts the use into `used_key_packages` under a pseudonym that no other table has,
 * and `applyKeyPackageUses` later writes many uses together into package rows.
 */

/** Computes the primary key of a package's row in `used_key_packages`. */
function usePseudonym(privacy: Privacy, ref: Buffer): Buffer {
  return privacy.pseudonym('key-package-use', [], ref);
}

/**
 * Marks packages as used. The primary key makes each package single-use, because a second transaction waits for the
 * first one and then inserts nothing.
 * @param refs stored refs, each once.
 * @returns how many packages were not marked before.
 */
export async function insertUses(tx: Tx, privacy: Privacy, refs: readonly Buffer[]): Promise<number> {
  if (refs.length === 0) return 0;
  const uses = refs.map((ref) => usePseudonym(privacy, ref));
  const sealedRefs = refs.map((ref, index) => privacy.seal('used-key-package', [uses[index] ?? ''], ref));
  // Rows are inserted in key order, so that two transactions cannot deadlock.
  const { numAffectedRows } = await sql`
    INSERT INTO used_key_packages (use, sealed_ref, used_on)
    SELECT i.use, i.sealed_ref, ${bucketedNow(secondsPerDay)}
    FROM unnest(${byteaArray(uses)}::bytea[], ${byteaArray(sealedRefs)}::bytea[]) AS i(use, sealed_ref)
    ORDER BY i.use ON CONFLICT (use) DO NOTHING`.execute(tx);
  return Number(numAffectedRows ?? 0);
}

/** The use of a package by a Welcome, which is not written into the package's row yet. */
export interface DeferredUse {
  /** The primary key of the package's row (`storedRef`). */
  readonly ref: Buffer;
  /** The start of the day of use (UTC). */
  readonly usedOn: Date;
}

/** Reads the deferred uses of the packages whose stored refs are in `refs`. */
export async function readDeferredUses(
  deps: { readonly db: Db; readonly privacy: Privacy },
  refs: readonly Buffer[],
): Promise<DeferredUse[]> {
  if (refs.length === 0) return [];
  const refOf = new Map(refs.map((ref) => [usePseudonym(deps.privacy, ref).toString('hex'), ref]));
  const { rows } = await sql<{ use: Buffer; usedOn: Date }>`
    SELECT use, used_on AS "usedOn" FROM used_key_packages
    WHERE use = ANY (${byteaArray([...refOf.keys()].map((hex) => Buffer.from(hex, 'hex')))}::bytea[])`.execute(deps.db);
  return rows.flatMap(({ use, usedOn }) => {
    const ref = refOf.get(use.toString('hex'));
    return ref === undefined ? [] : [{ ref, usedOn }];
  });
}

/** Selects at most `max` deferred uses. */
export async function selectUses(db: Db, privacy: Privacy, max: number): Promise<(DeferredUse & { use: Buffer })[]> {
  const { rows } = await sql<{ use: Buffer; sealedRef: Buffer; usedOn: Date }>`
    SELECT use, sealed_ref AS "sealedRef", used_on AS "usedOn" FROM used_key_packages LIMIT ${max}`.execute(db);
  return rows.map(({ use, sealedRef, usedOn }) => ({
    use,
    ref: privacy.unseal('used-key-package', [use], sealedRef),
    usedOn,
  }));
}

export async function deleteUses(db: Db, uses: readonly Buffer[]): Promise<void> {
  if (uses.length === 0) return;
  await sql`DELETE FROM used_key_packages WHERE use = ANY (${byteaArray(uses)}::bytea[])`.execute(db);
}
