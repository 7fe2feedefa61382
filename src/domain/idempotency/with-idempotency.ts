import { deserialize, serialize } from 'node:v8';
import { domainError } from '#domain/domain-error.ts';
import { InvariantError } from '#platform/errors.ts';
import { padToBucket, unpadFromBucket } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import { keyDigestOf } from './idempotency-key.ts';
import type { IdempotentCall } from './idempotency-key.ts';
import { selectAnswers, takeKeys, updateAnswer } from './store.ts';

export interface IdempotencyDeps {
  readonly privacy: Privacy;
  readonly timeBucketSeconds: number;
  /** For how long a repeated call gets the first answer. */
  readonly idempotencyTtlHours: number;
}

/**
 * Runs `run` once for a caller, method and key: a repeated call within `idempotencyTtlHours` gets the first answer, and one that comes while
 * the first still runs waits for it. Call it first in `tx`: what it locks is then waited for by nobody who holds another lock. A
 * `run` that throws is not remembered, so that a retry may succeed.
 * @param run makes an answer of plain data, times and bytes.
 * @throws AppError IdempotencyKeyReused when the key came with another input before.
 */
export async function withIdempotency<Answer>(
  deps: IdempotencyDeps,
  tx: Tx,
  call: IdempotentCall,
  run: () => Promise<Answer>,
): Promise<Answer> {
  const { key } = call;
  if (key === undefined || key === '') return run();
  const keyDigest = keyDigestOf(deps.privacy, { ...call, key });
  const { digest, inputDigest } = keyDigest;
  const taken = await takeKeys(tx, [keyDigest], deps);
  if (taken.size === 1) {
    const answer = await run();
    await updateAnswer(tx, digest, deps.privacy.seal('idempotency-answer', [digest], padToBucket(serialize(answer))));
    return answer;
  }
  const [remembered] = await selectAnswers(tx, [digest]);
  if (remembered === undefined || remembered.sealedAnswer === null) throw new InvariantError('a key without an answer');
  if (!remembered.inputDigest.equals(inputDigest)) throw domainError('IdempotencyKeyReused');
  const sealed = deps.privacy.unseal('idempotency-answer', [digest], remembered.sealedAnswer);
  // Sealed to the digest, which holds the method: it is what this method wrote.
  return deserialize(unpadFromBucket(sealed)) as Answer;
}
