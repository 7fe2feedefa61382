import { isExpired } from './gcra.ts';
import type { QuotaRule, QuotaState } from './gcra.ts';
import { createExpiryQueues } from './memory/expiry-queues.ts';
import { createNameTable } from './memory/name-table.ts';
import { createCompactStates } from './memory/compact-states.ts';
import type { BucketNames } from './quota-store.ts';

/** Stores a bounded number of quota states by bucket name. */
export interface Buckets {
  /**
   * Returns the state of a bucket, or undefined for a bucket without one. While the table is full, all names that have
   * no bucket share one state for each rule.
   */
  find(names: BucketNames, rule: QuotaRule): QuotaState | undefined;
  store(names: BucketNames, rule: QuotaRule, state: QuotaState): void;
  /** Removes the buckets in which no charge counts any more. */
  sweep(nowMs: number): void;
  count(): number;
}

const sweepEveryMs = 1_000;

export function createBuckets(bucketsMax: number): Buckets {
  const table = createNameTable(bucketsMax);
  const states = createCompactStates(bucketsMax);
  const overflow = new Map<string, QuotaState>();
  const queues = createExpiryQueues(bucketsMax);
  let sweptAtMs = -Infinity;

  function remove(index: number): void {
    queues.unlink(index);
    states.remove(index);
    table.remove(index);
  }

  function indexOf({ current, previous }: BucketNames): number {
    const index = table.find(current);
    return index !== -1 || previous === undefined ? index : table.find(previous);
  }

  return {
    find(names, rule) {
      const index = indexOf(names);
      if (index !== -1) return states.read(index);
      return table.count() === bucketsMax ? overflow.get(rule.name) : undefined;
    },
    store(names, rule, state) {
      let index = table.find(names.current);
      if (index === -1) {
        const previous = indexOf(names);
        if (previous !== -1) remove(previous);
        index = table.add(names.current);
        if (index === -1) return void overflow.set(rule.name, state);
      } else {
        queues.unlink(index);
      }
      states.write(index, state);
      queues.append(index, rule.windowMs);
    },
    sweep(nowMs) {
      if (nowMs - sweptAtMs < sweepEveryMs) return;
      sweptAtMs = nowMs;
      queues.sweep((index, windowMs) => {
        const expired = isExpired({ windowMs }, states.read(index), nowMs);
        if (expired) remove(index);
        return expired;
      });
    },
    count: () => table.count(),
  };
}
