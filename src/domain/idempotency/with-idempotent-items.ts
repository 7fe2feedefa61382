import { domainError } from '#domain/domain-error.ts';
import type { AppError } from '#platform/errors.ts';
import type { Tx } from '#storage/connection/database.ts';
import { keyDigestOf } from './idempotency-key.ts';
import type { IdempotentCall, KeyDigest } from './idempotency-key.ts';
import { deleteKeys, selectResults, takeKeys } from './store.ts';
import type { IdempotencyDeps } from './with-idempotency.ts';

/** The outcome of an item, undefined for success. */
type ItemOutcome = AppError | undefined;

/**
 * Runs the items of a batch, except items that already succeeded in an earlier call with the same idempotency key. The
 * outcomes of failed items are not stored, so that they can be repeated.
 * @param run runs the items at these positions, and returns their outcomes in the same order.
 * @returns the outcomes in the order of `calls`, with IdempotencyKeyReused for an item whose key was used with another
 *   input before.
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
  const newOutcomes = await run(positions);
  const outcomeByPosition = new Map(positions.map((position, index) => [position, newOutcomes[index]]));
  const failed = positions.flatMap((position) => {
    const key = keys[position];
    return key !== undefined && outcomeByPosition.get(position) !== undefined ? [key.digest] : [];
  });
  await deleteKeys(tx, failed);
  return outcomes.map((outcome, position) => (outcome === 'run' ? outcomeByPosition.get(position) : outcome));
}

interface KnownKey {
  readonly inputDigest: Buffer;
  /** Whether this transaction inserted the key. */
  readonly isTaken: boolean;
}

/** Inserts the keys that are not stored yet. @returns every distinct key with the input of its first use. */
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
  for (const { digest, inputDigest } of await selectResults(tx, others)) {
    known.set(digest.toString('hex'), { inputDigest, isTaken: false });
  }
  for (const id of taken) {
    const key = distinct.get(id);
    if (key !== undefined) known.set(id, { inputDigest: key.inputDigest, isTaken: true });
  }
  return known;
}
