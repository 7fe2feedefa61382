import { charge, giveBack, isSpent } from './gcra.ts';
import type { Outcome, QuotaRule, QuotaState } from './gcra.ts';
import type { BucketNames, QuotaStore } from './store.ts';

/** Charges counted in this process only. */
export interface MemoryStore extends QuotaStore {
  charge(bucket: BucketNames, rule: QuotaRule, nowMs: number): Outcome;
  giveBack(bucket: BucketNames, rule: QuotaRule, nowMs: number): void;
  bucketCount(): number;
}

interface Bucket {
  readonly rule: QuotaRule;
  readonly state: QuotaState;
}

/** Looking for spent buckets walks over all places that were emptied since the map was last packed, so not every time. */
const sweepEveryMs = 1_000;

/**
 * Keeps at most `bucketsMax` buckets: 100,000 take 25 MB with one request each, 75 MB when all come every second. When all are in use, a
 * newcomer is charged to one bucket that all newcomers of the same rule share: a flood of keys costs newcomers their
 * room, never the known ones theirs, and never memory. All rules of one store must have the same window.
 */
export function createMemoryStore(bucketsMax: number): MemoryStore {
  // In the order of the last admitted request, so that the bucket that is spent first stands first.
  const buckets = new Map<string, Bucket>();
  const overflow = new Map<string, QuotaState>();
  let sweptAtMs = -Infinity;

  function sweep(nowMs: number): void {
    if (nowMs - sweptAtMs < sweepEveryMs) return;
    sweptAtMs = nowMs;
    for (const [name, bucket] of buckets) {
      if (!isSpent(bucket.rule, bucket.state, nowMs)) return;
      buckets.delete(name);
    }
  }

  function find(names: BucketNames): Bucket | undefined {
    const known = buckets.get(names.current);
    if (known !== undefined || names.former === undefined) return known;
    const former = buckets.get(names.former);
    if (former === undefined) return undefined;
    buckets.delete(names.former);
    buckets.set(names.current, former);
    return former;
  }

  return {
    charge(names, rule, nowMs) {
      sweep(nowMs);
      const known = find(names);
      if (known === undefined && buckets.size >= bucketsMax) {
        const shared = charge(rule, overflow.get(rule.name), nowMs);
        overflow.set(rule.name, shared.state);
        return shared.outcome;
      }
      const { state, outcome } = charge(rule, known?.state, nowMs);
      if (outcome.allowed) {
        buckets.delete(names.current);
        buckets.set(names.current, { rule, state });
      }
      return outcome;
    },
    giveBack(names, rule, nowMs) {
      const known = find(names);
      if (known !== undefined) {
        buckets.set(names.current, { rule, state: giveBack(rule, known.state, nowMs) });
        return;
      }
      const shared = overflow.get(rule.name);
      if (shared !== undefined) overflow.set(rule.name, giveBack(rule, shared, nowMs));
    },
    bucketCount: () => buckets.size,
  };
}
