import { createBuckets } from '../buckets.ts';
import { charge, refund, record } from '../gcra.ts';
import type { Outcome, QuotaRule } from '../gcra.ts';
import type { BucketNames, QuotaStore } from '../quota-store.ts';

/** A quota store that counts in this process only. */
export interface MemoryStore extends QuotaStore {
  charge(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Outcome;
  peek(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Outcome;
  refund(bucket: BucketNames, rule: QuotaRule, chargedAtMs: number, cost?: number): void;
  /** Counts what was admitted elsewhere, even without room; see `record` in gcra.ts. */
  record(
    bucket: BucketNames,
    rule: QuotaRule,
    nowMs: number,
    what: { readonly cost: number; readonly usedMin: number },
  ): void;
  bucketCount(): number;
}

/**
 * Stores at most `bucketsMax` buckets. When all are in use, each new name is charged to one bucket that all new names
 * of its rule share: a flood of new keys uses up the quota of new keys, never the quota of stored ones, and no
 * additional memory.
 */
export function createMemoryStore(bucketsMax: number): MemoryStore {
  const buckets = createBuckets(bucketsMax);
  return {
    charge(names, rule, nowMs, cost) {
      buckets.sweep(nowMs);
      const { state, outcome } = charge(rule, buckets.find(names, rule), nowMs, cost);
      // A refusal too must move the state from the previous name to the current one.
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
