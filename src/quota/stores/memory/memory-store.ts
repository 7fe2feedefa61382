import { createBuckets } from '../buckets.ts';
import { charge, refund, note } from '../gcra.ts';
import type { Outcome, QuotaRule } from '../gcra.ts';
import type { BucketNames, QuotaStore } from '../quota-store.ts';

/** Charges counted in this process only. */
export interface MemoryStore extends QuotaStore {
  charge(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Outcome;
  peek(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Outcome;
  refund(bucket: BucketNames, rule: QuotaRule, chargedAtMs: number, cost?: number): void;
  /** Counts what was admitted elsewhere, whether or not there is room; see `note` in gcra.ts. */
  note(
    bucket: BucketNames,
    rule: QuotaRule,
    nowMs: number,
    what: { readonly cost: number; readonly usedMin: number },
  ): void;
  bucketCount(): number;
}

/**
 * Keeps at most `bucketsMax` buckets. When all are in use, a newcomer is charged to one bucket that all newcomers of the
 * same rule share: a flood of keys costs newcomers their room, never the known ones theirs, and never memory.
 */
export function createMemoryStore(bucketsMax: number): MemoryStore {
  const buckets = createBuckets(bucketsMax);
  return {
    charge(names, rule, nowMs, cost) {
      buckets.sweep(nowMs);
      const { state, outcome } = charge(rule, buckets.find(names, rule), nowMs, cost);
      // Also when it is refused, what was known under the former name moves.
      if (outcome.allowed || names.former !== undefined) buckets.keep(names, rule, state);
      return outcome;
    },
    peek: (names, rule, nowMs, cost) => charge(rule, buckets.find(names, rule), nowMs, cost).outcome,
    refund(names, rule, chargedAtMs, cost) {
      const state = buckets.find(names, rule);
      if (state !== undefined) buckets.keep(names, rule, refund(rule, state, chargedAtMs, cost));
    },
    note(names, rule, nowMs, what) {
      buckets.sweep(nowMs);
      buckets.keep(names, rule, note(rule, buckets.find(names, rule), nowMs, what));
    },
    bucketCount: () => buckets.count(),
  };
}
