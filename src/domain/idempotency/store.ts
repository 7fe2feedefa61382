import { sql } from 'kysely';
import { bucketedNow } from '#storage/sql/bucketed-now.ts';
import type { Tx } from '#storage/connection/database.ts';
import type { KeyDigest } from './idempotency-key.ts';

/**
 * Inserts keys in this transaction, in digest order so that two batches cannot deadlock. If a concurrent transaction
 * has inserted the same key, the insert waits until that transaction commits (the key is taken) or is rolled back (the
 * key is free).
 * @returns the keys that were free or had expired, in hex.
 */
export async function takeKeys(
  tx: Tx,
  keys: readonly KeyDigest[],
  { timeBucketSeconds, idempotencyTtlHours }: { timeBucketSeconds: number; idempotencyTtlHours: number },
): Promise<ReadonlySet<string>> {
  if (keys.length === 0) return new Set();
  const rows = await tx
    .insertInto('idempotency_keys')
    .values(
      keys
        .toSorted((a, b) => Buffer.compare(a.digest, b.digest))
        .map(({ digest, inputDigest }) => ({
          digest,
          input_digest: inputDigest,
          expires_at: sql<Date>`${bucketedNow(timeBucketSeconds)}
            + make_interval(hours => ${idempotencyTtlHours}::integer, secs => ${timeBucketSeconds}::integer)`,
        })),
    )
    .onConflict((conflict) =>
      conflict
        .column('digest')
        .doUpdateSet((eb) => ({
          input_digest: eb.ref('excluded.input_digest'),
          sealed_answer: null,
          expires_at: eb.ref('excluded.expires_at'),
        }))
        .where('idempotency_keys.expires_at', '<=', sql<Date>`clock_timestamp()`),
    )
    .returning('digest')
    .execute();
  return new Set(rows.map(({ digest }) => digest.toString('hex')));
}

export interface StoredResult {
  readonly digest: Buffer;
  readonly inputDigest: Buffer;
  readonly sealedResult: Buffer | null;
}

/**
 * Selects the rows of keys that `takeKeys` did not insert. The upsert of `takeKeys` has locked them, so they exist and
 * cannot change.
 */
export async function selectResults(tx: Tx, digests: readonly Buffer[]): Promise<StoredResult[]> {
  if (digests.length === 0) return [];
  return tx
    .selectFrom('idempotency_keys')
    .select(['digest', 'input_digest as inputDigest', 'sealed_answer as sealedResult'])
    .where('digest', 'in', [...digests])
    .execute();
}

export async function updateResult(tx: Tx, digest: Buffer, sealedResult: Buffer): Promise<void> {
  await tx.updateTable('idempotency_keys').set({ sealed_answer: sealedResult }).where('digest', '=', digest).execute();
}

export async function deleteKeys(tx: Tx, digests: readonly Buffer[]): Promise<void> {
  if (digests.length === 0) return;
  await tx
    .deleteFrom('idempotency_keys')
    .where('digest', 'in', [...digests])
    .execute();
}
