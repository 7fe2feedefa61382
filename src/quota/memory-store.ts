import { charge, giveBack, isSpent } from './gcra.ts';
import type { Outcome, QuotaRule, QuotaState } from './gcra.ts';
import type { BucketNames, QuotaStore } from './store.ts';

/** Charges counted in this process only. */
export interface MemoryStore extends QuotaStore {
  charge(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Outcome;
  peek(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Outcome;
  giveBack(bucket: BucketNames, rule: QuotaRule, chargedAtMs: number, cost?: number): void;
  bucketCount(): number;
}

interface Bucket {
  readonly rule: QuotaRule;
  readonly state: QuotaState;
}

/** Buckets of one width of window, in the order of the last admitted request: the one that is spent first stands first. */
type Lane = Map<string, Bucket>;

/** Looking for spent buckets walks over all places that were emptied since the map was last packed, so not every time. */
const sweepEveryMs = 1_000;

/**
 * Keeps at most `bucketsMax` buckets: 100,000 take 25 MB with one request each, 75 MB when all come every second. When all are in use, a
 * newcomer is charged to one bucket that all newcomers of the same rule share: a flood of keys costs newcomers their
 * room, never the known ones theirs, and never memory.
 */
export function createMemoryStore(bucketsMax: number): MemoryStore {
  const lanes = new Map<number, Lane>();
  const overflow = new Map<string, QuotaState>();
  let sweptAtMs = -Infinity;

  function bucketCount(): number {
    let count = 0;
    for (const lane of lanes.values()) count += lane.size;
    return count;
  }

  function sweep(nowMs: number): void {
    if (nowMs - sweptAtMs < sweepEveryMs) return;
    sweptAtMs = nowMs;
    for (const lane of lanes.values()) removeSpent(lane, nowMs);
  }

  function laneOf(rule: QuotaRule): Lane {
    const known = lanes.get(rule.windowMs);
    if (known !== undefined) return known;
    const lane: Lane = new Map();
    lanes.set(rule.windowMs, lane);
    return lane;
  }

  return {
    charge(names, rule, nowMs, cost) {
      sweep(nowMs);
      const lane = laneOf(rule);
      const known = find(lane, names);
      if (known === undefined && bucketCount() >= bucketsMax) {
        const shared = charge(rule, overflow.get(rule.name), nowMs, cost);
        overflow.set(rule.name, shared.state);
        return shared.outcome;
      }
      const { state, outcome } = charge(rule, known?.state, nowMs, cost);
      if (outcome.allowed) {
        lane.delete(names.current);
        lane.set(names.current, { rule, state });
      }
      return outcome;
    },
    peek(names, rule, nowMs, cost) {
      const known = find(laneOf(rule), names);
      const isNewcomer = known === undefined && bucketCount() >= bucketsMax;
      return charge(rule, isNewcomer ? overflow.get(rule.name) : known?.state, nowMs, cost).outcome;
    },
    giveBack(names, rule, chargedAtMs, cost) {
      const lane = laneOf(rule);
      const known = find(lane, names);
      if (known !== undefined) {
        lane.set(names.current, { rule, state: giveBack(rule, known.state, chargedAtMs, cost) });
        return;
      }
      const shared = overflow.get(rule.name);
      if (shared !== undefined) overflow.set(rule.name, giveBack(rule, shared, chargedAtMs, cost));
    },
    bucketCount,
  };
}

function removeSpent(lane: Lane, nowMs: number): void {
  for (const [name, bucket] of lane) {
    if (!isSpent(bucket.rule, bucket.state, nowMs)) return;
    lane.delete(name);
  }
}

function find(lane: Lane, names: BucketNames): Bucket | undefined {
  const known = lane.get(names.current);
  if (known !== undefined || names.former === undefined) return known;
  const former = lane.get(names.former);
  if (former === undefined) return undefined;
  lane.delete(names.former);
  lane.set(names.current, former);
  return former;
}
