import { createBuckets } from '../buckets.ts';
import { charge, refund, record } from '../gcra.ts';
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
      const { state, outcome } = charge(rule, buckets.find(names, rule), nowMs, cost);
      // After a refusal the state is stored only to move it from the previous name to the current name.
      if (outcome.allowed || names.previous !== undefined) buckets.store(names, rule, state);
      return outcome;
    },
    peek: (names, rule, nowMs, cost) => charge(rule, buckets.find(names, rule), nowMs, cost).outcome,
    refund(names, rule, chargedAtMs, cost) {
      const state = buckets.find(names, rule);
      if (state !== undefined) buckets.store(names, rule, refund(rule, state, chargedAtMs, cost));
    },
    record(names, rule, nowMs, what) {
      buckets.sweep(nowMs);
      buckets.store(names, rule, record(rule, buckets.find(names, rule), nowMs, what));
    },
    bucketCount: () => buckets.count(),
  };
}
