import { domainError } from '#domain/domain-error.ts';
import type { AppError } from '#platform/errors.ts';
import type { Tx } from '#storage/connection/database.ts';
import { keyDigestOf } from './idempotency-key.ts';
import type { IdempotentCall, KeyDigest } from './idempotency-key.ts';
import { deleteKeys, selectAnswers, takeKeys } from './store.ts';
import type { IdempotencyDeps } from './with-idempotency.ts';

/** What became of an item: undefined when it is done. */
type ItemOutcome = AppError | undefined;

/**
 * As `withIdempotency`, for the items of a batch, each with a key of its own: an item that was done before is done, and not run
 * again. Items that end with an error are not remembered.
 * @param run gets the positions of the items that are to be run, and answers in their order.
 * @returns the outcomes in the order of `calls`; IdempotencyKeyReused for an item whose key came with another input before.
 */
export async function withIdempotentItems(
  deps: IdempotencyDeps,
  tx: Tx,
  calls: readonly IdempotentCall[],
  run: (positions: readonly number[]) => Promise<readonly ItemOutcome[]>,
): Promise<ItemOutcome[]> {
  const keys = calls.map((call) =>
    call.key === undefined || call.key === '' ? undefined : keyDigestOf(deps.privacy, { ...call, key: call.key }),
  );
  const known = await takeAll(deps, tx, keys);
  const outcomes = keys.map((key): ItemOutcome | 'run' => {
    const first = key && known.get(key.digest.toString('hex'));
    if (key === undefined || first === undefined) return 'run';
    if (!first.inputDigest.equals(key.inputDigest)) return domainError('IdempotencyKeyReused');
    return first.isTaken ? 'run' : undefined;
  });
  const positions = outcomes.flatMap((outcome, position) => (outcome === 'run' ? [position] : []));
  const fresh = await run(positions);
  const done = new Map(positions.map((position, index) => [position, fresh[index]]));
  const failed = positions.flatMap((position) => {
    const key = keys[position];
    return key !== undefined && done.get(position) !== undefined ? [key.digest] : [];
  });
  await deleteKeys(tx, failed);
  return outcomes.map((outcome, position) => (outcome === 'run' ? done.get(position) : outcome));
}

interface KnownKey {
  readonly inputDigest: Buffer;
  /** By this transaction. */
  readonly isTaken: boolean;
}

/** Every distinct key with the input that it came with first. */
async function takeAll(
  deps: IdempotencyDeps,
  tx: Tx,
  keys: readonly (KeyDigest | undefined)[],
): Promise<ReadonlyMap<string, KnownKey>> {
  const distinct = new Map<string, KeyDigest>();
  for (const key of keys) {
    const id = key?.digest.toString('hex');
    if (key !== undefined && id !== undefined && !distinct.has(id)) distinct.set(id, key);
  }
  const taken = await takeKeys(tx, [...distinct.values()], deps);
  const others = [...distinct].filter(([id]) => !taken.has(id)).map(([, { digest }]) => digest);
  const known = new Map<string, KnownKey>();
  for (const { digest, inputDigest } of await selectAnswers(tx, others)) {
    known.set(digest.toString('hex'), { inputDigest, isTaken: false });
  }
  for (const id of taken) {
    const key = distinct.get(id);
    if (key !== undefined) known.set(id, { inputDigest: key.inputDigest, isTaken: true });
  }
  return known;
}
