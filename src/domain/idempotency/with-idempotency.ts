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
  /** For how long a repeated call gets the first result. */
  readonly idempotencyTtlHours: number;
}

/**
 * Calls `run` once for each caller, method and key. A repeated call within `idempotencyTtlHours` gets the first result,
 * and a call during the first one waits for it. Call this first in `tx`, so that no transaction waits here while it has
 * another lock. If `run` throws, nothing is stored, so a retry may succeed.
 * @param run returns plain data, times and bytes.
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
    const result = await run();
    await updateResult(tx, digest, deps.privacy.seal('idempotency-answer', [digest], padToBucket(serialize(result))));
    return result;
  }
  const [stored] = await selectResults(tx, [digest]);
  if (stored === undefined || stored.sealedResult === null)
    throw new InvariantError('an idempotency key without a result');
  if (!stored.inputDigest.equals(inputDigest)) throw domainError('IdempotencyKeyReused');
  const sealed = deps.privacy.unseal('idempotency-answer', [digest], stored.sealedResult);
  // Sealed to the digest, which includes the method, so this method wrote the value.
  return deserialize(unpadFromBucket(sealed)) as Result;
}
