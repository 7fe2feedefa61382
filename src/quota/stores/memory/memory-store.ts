import { createBuckets } from '../buckets.ts';
import { charge, emptyState, peek, refund, record } from '../gcra.ts';
import type { Outcome, QuotaRule } from '../gcra.ts';
import type { BucketNames, QuotaStore } from '../quota-store.ts';

/** A quota store that counts in the memory of one process, so that its methods return without a promise. */
export interface MemoryStore extends QuotaStore {
  charge(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Outcome;
  peek(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Outcome;
  refund(bucket: BucketNames, rule: QuotaRule, chargedAtMs: number, cost?: number): void;
  /** Counts a charge that another store admitted, even without room; see `record` in gcra.ts. */
  record(
    bucket: BucketNames,
    rule: QuotaRule,
    nowMs: number,
    what: { readonly cost: number; readonly usedMin: number },
  ): void;
  bucketCount(): number;
}

/**
 * Creates a store of at most `bucketsMax` buckets. While all are in use, new names share one bucket for each rule, so
 * that a flood of new keys takes neither memory nor the quota of stored keys.
 */
export function createMemoryStore(bucketsMax: number): MemoryStore {
  const buckets = createBuckets(bucketsMax);
  return {
    charge(names, rule, nowMs, cost) {
      buckets.sweep(nowMs);
      const index = buckets.find(names);
      const state = buckets.read(index, rule) ?? emptyState();
      const outcome = charge(rule, state, nowMs, cost);
      if (outcome.allowed) buckets.store(index, names, rule, state);
      return outcome;
    },
    peek: (names, rule, nowMs, cost) =>
      peek(rule, buckets.read(buckets.find(names), rule) ?? emptyState(), nowMs, cost),
    refund(names, rule, chargedAtMs, cost) {
      const index = buckets.find(names);
      const state = buckets.read(index, rule);
      if (state === undefined) return;
      refund(rule, state, chargedAtMs, cost);
      buckets.store(index, names, rule, state);
    },
    record(names, rule, nowMs, what) {
      buckets.sweep(nowMs);
      const index = buckets.find(names);
      const state = buckets.read(index, rule) ?? emptyState();
      record(rule, state, nowMs, what);
      buckets.store(index, names, rule, state);
    },
    bucketCount: () => buckets.count(),
  };
}
