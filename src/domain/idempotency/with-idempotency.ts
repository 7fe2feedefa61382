import { deserialize, serialize } from 'node:v8';
import { domainError } from '#domain/domain-error.ts';
import { InvariantError } from '#platform/errors.ts';
import { padToBucket, unpadFromBucket } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import { keyDigestOf } from './idempotency-key.ts';
import type { IdempotentCall } from './idempotency-key.ts';
import { selectResults, takeKeys, updateResult } from './store.ts';

export interface IdempotencyDeps {
  readonly privacy: Privacy;
  readonly timeBucketSeconds: number;
  /** Hours for which a repeated call gets the first result. */
  readonly idempotencyTtlHours: number;
}

/**
 * Calls `run` once for each caller, method and key, and returns its result to repeated calls within
 * `idempotencyTtlHours`. Call this before `tx` takes another lock, because a concurrent call with the same key waits
 * here for the first one.
 * @param run must return plain data, times and bytes only, because its result is serialized.
 * @throws AppError IdempotencyKeyReused when an earlier call used the key with another input.
 */
export async function withIdempotency<Result>(
  deps: IdempotencyDeps,
  tx: Tx,
  call: IdempotentCall,
  run: () => Promise<Result>,
): Promise<Result> {
  const { key } = call;
  if (key === undefined || key === '') return run();
  const keyDigest = keyDigestOf(deps.privacy, { ...call, key });
  const { digest, inputDigest } = keyDigest;
  const taken = await takeKeys(tx, [keyDigest], deps);
  if (taken.size === 1) {
    // If `run` throws, the transaction is rolled back and no result is stored, so a retry may succeed.
    const result = await run();
    await updateResult(tx, digest, deps.privacy.seal('idempotency-answer', [digest], padToBucket(serialize(result))));
    return result;
  }
  const [stored] = await selectResults(tx, [digest]);
  if (stored === undefined || stored.sealedResult === null)
    throw new InvariantError('an idempotency key without a result');
  if (!stored.inputDigest.equals(inputDigest)) throw domainError('IdempotencyKeyReused');
  const sealed = deps.privacy.unseal('idempotency-answer', [digest], stored.sealedResult);
  // The digest depends on the method, so the value was written by the same method and has its result type.
  return deserialize(unpadFromBucket(sealed)) as Result;
}
