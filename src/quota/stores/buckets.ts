import { isExpired } from './gcra.ts';
import type { QuotaRule, QuotaState } from './gcra.ts';
import { createExpiryQueues } from './memory/expiry-queues.ts';
import { createNameTable } from './memory/name-table.ts';
import { createCompactStates } from './memory/compact-states.ts';
import type { BucketNames } from './quota-store.ts';

/** Stores a bounded number of quota states by bucket name. */
export interface Buckets {
  /** Returns the index of a bucket, or -1 for a bucket without one. Moves a bucket from its previous name to its current one. */
  find(names: BucketNames): number;
  /**
   * Returns the state at an index from `find`, or undefined for -1. While the table is full, all names that have no
   * bucket share one state for each rule.
   */
  read(index: number, rule: QuotaRule): QuotaState | undefined;
  /** Stores a state that was changed after `read`, under a new index if `find` found none. */
  store(index: number, names: BucketNames, rule: QuotaRule, state: QuotaState): void;
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

  return {
    find({ current, previous }) {
      const index = table.find(current);
      if (index !== -1 || previous === undefined) return index;
      const moved = table.find(previous);
      if (moved === -1) return -1;
      // `add` assigns the index again that was just removed, so the state stays in its place.
      table.remove(moved);
      return table.add(current);
    },
    read(index, rule) {
      if (index !== -1) return states.read(index);
      return table.count() === bucketsMax ? overflow.get(rule.name) : undefined;
    },
    store(found, names, rule, state) {
      const index = found === -1 ? table.add(names.current) : found;
      if (index === -1) return void overflow.set(rule.name, state);
      if (found !== -1) queues.unlink(index);
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
