import { sql } from 'kysely';
import type { Db, Tx } from '#storage/connection/database.ts';
import { byteaArray } from '#storage/sql/bytea-array.ts';

const secondsPerDay = 86_400;

export interface ClaimRow {
  readonly addition: Buffer;
  readonly sealedClaim: Buffer;
}

export async function selectClaims(db: Db, additions: readonly Buffer[]): Promise<ClaimRow[]> {
  if (additions.length === 0) return [];
  return db
    .selectFrom('device_additions')
    .select(['addition', 'sealed_claim as sealedClaim'])
    .where(sql<boolean>`addition = ANY (${byteaArray(additions)}::bytea[])`)
    .execute();
}

/**
 * Writes a claim. Concurrent claimers wait for each other, because `tx` has the lock of the addition's conversation.
 */
export async function upsertClaim(
  tx: Tx,
  claim: ClaimRow & { readonly keyId: number },
  waitDays: number,
): Promise<void> {
  // Rounded up to a day, so that the rows of one day cannot be distinguished by time.
  const expiresOn = sql<Date>`to_timestamp((floor(extract(epoch FROM clock_timestamp()) / ${secondsPerDay}::integer) + 1) * ${secondsPerDay}::integer)
    + make_interval(days => ${waitDays}::integer)`;
  const values = { key_id: claim.keyId, sealed_claim: claim.sealedClaim, expires_on: expiresOn };
  await tx
    .insertInto('device_additions')
    .values({ addition: claim.addition, ...values })
    .onConflict((conflict) => conflict.column('addition').doUpdateSet(values))
    .execute();
}

export async function deleteClaims(db: Db, additions: readonly Buffer[]): Promise<void> {
  await db
    .deleteFrom('device_additions')
    .where(sql<boolean>`addition = ANY (${byteaArray(additions)}::bytea[])`)
    .execute();
}
