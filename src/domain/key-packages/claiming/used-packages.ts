import { sql } from 'kysely';
import type { Privacy } from '#privacy/privacy.ts';
import { bucketedNow } from '#storage/sql/bucketed-now.ts';
import { byteaArray } from '#storage/sql/bytea-array.ts';
import type { Db, Tx } from '#storage/connection/database.ts';

const secondsPerDay = 86_400;

/*
 * That a package was used is written twice: at once into `used_key_packages`, by the transaction of the Welcome, under a pseudonym
 * that stands nowhere else; and later into the package's own row, by `settleKeyPackages` together with many others. A transaction
 * that wrote or locked both rows would join them for whoever reads the data folder.
 */

/** Under which name the use of a package is noted. */
function packageUse(privacy: Privacy, ref: Buffer): Buffer {
  return privacy.pseudonym('key-package-use', [], ref);
}

/**
 * Notes that packages are used. The primary key makes each use happen once: a second transaction waits for the first, and then
 * inserts nothing. The order of the names keeps two transactions from deadlocking.
 * @param refs stored refs, each once.
 * @returns how many of them were not noted before.
 */
export async function insertUses(tx: Tx, privacy: Privacy, refs: readonly Buffer[]): Promise<number> {
  if (refs.length === 0) return 0;
  const uses = refs.map((ref) => packageUse(privacy, ref));
  const sealedRefs = refs.map((ref, index) => privacy.seal('used-key-package', [uses[index] ?? ''], ref));
  const { numAffectedRows } = await sql`
    INSERT INTO used_key_packages (use, sealed_ref, used_on)
    SELECT i.use, i.sealed_ref, ${bucketedNow(secondsPerDay)}
    FROM unnest(${byteaArray(uses)}::bytea[], ${byteaArray(sealedRefs)}::bytea[]) AS i(use, sealed_ref)
    ORDER BY i.use ON CONFLICT (use) DO NOTHING`.execute(tx);
  return Number(numAffectedRows ?? 0);
}

/** A use that does not stand in the package's row yet. */
export interface PackageUsed {
  /** Stored ref. */
  readonly ref: Buffer;
  /** A day. */
  readonly usedOn: Date;
}

/** Those of `refs` (stored refs) that are used although their rows do not say so yet. */
export async function readUses(
  deps: { readonly db: Db; readonly privacy: Privacy },
  refs: readonly Buffer[],
): Promise<PackageUsed[]> {
  if (refs.length === 0) return [];
  const refOf = new Map(refs.map((ref) => [packageUse(deps.privacy, ref).toString('hex'), ref]));
  const { rows } = await sql<{ use: Buffer; usedOn: Date }>`
    SELECT use, used_on AS "usedOn" FROM used_key_packages
    WHERE use = ANY (${byteaArray([...refOf.keys()].map((hex) => Buffer.from(hex, 'hex')))}::bytea[])`.execute(deps.db);
  return rows.flatMap(({ use, usedOn }) => {
    const ref = refOf.get(use.toString('hex'));
    return ref === undefined ? [] : [{ ref, usedOn }];
  });
}

/** Uses that wait to be carried over, `max` at most. */
export async function selectUses(db: Db, privacy: Privacy, max: number): Promise<(PackageUsed & { use: Buffer })[]> {
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
