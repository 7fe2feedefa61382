import { isSpent } from './gcra.ts';
import type { QuotaRule, QuotaState } from './gcra.ts';
import type { BucketNames } from './store.ts';

/** States by name, of a bounded number. */
export interface Buckets {
  /** What is known of a bucket; of a newcomer for whom there is no room, what is known of all of those together. */
  find(names: BucketNames, rule: QuotaRule): QuotaState | undefined;
  keep(names: BucketNames, rule: QuotaRule, state: QuotaState): void;
  /** Forgets what no longer counts. */
  sweep(nowMs: number): void;
  count(): number;
}

interface Bucket {
  readonly rule: QuotaRule;
  readonly state: QuotaState;
}

/** Buckets of one width of window, in the order of the last change: the one that is spent first stands first. */
type Lane = Map<string, Bucket>;

/** Looking for spent buckets walks over all places that were emptied since the map was last packed, so not every time. */
const sweepEveryMs = 1_000;

export function createBuckets(bucketsMax: number): Buckets {
  const lanes = new Map<number, Lane>();
  const overflow = new Map<string, QuotaState>();
  let sweptAtMs = -Infinity;

  function laneOf({ windowMs }: QuotaRule): Lane {
    const known = lanes.get(windowMs);
    if (known !== undefined) return known;
    const lane: Lane = new Map();
    lanes.set(windowMs, lane);
    return lane;
  }

  function count(): number {
    let sum = 0;
    for (const lane of lanes.values()) sum += lane.size;
    return sum;
  }

  return {
    find(names, rule) {
      const known = findIn(laneOf(rule), names);
      return known === undefined && count() >= bucketsMax ? overflow.get(rule.name) : known?.state;
    },
    keep(names, rule, state) {
      const lane = laneOf(rule);
      const wasKnown = lane.delete(names.current);
      if (wasKnown || count() < bucketsMax) lane.set(names.current, { rule, state });
      else overflow.set(rule.name, state);
    },
    sweep(nowMs) {
      if (nowMs - sweptAtMs < sweepEveryMs) return;
      sweptAtMs = nowMs;
      for (const lane of lanes.values()) removeSpent(lane, nowMs);
    },
    count,
  };
}

function removeSpent(lane: Lane, nowMs: number): void {
  for (const [name, bucket] of lane) {
    if (!isSpent(bucket.rule, bucket.state, nowMs)) return;
    lane.delete(name);
  }
}

function findIn(lane: Lane, names: BucketNames): Bucket | undefined {
  const known = lane.get(names.current);
  if (known !== undefined || names.former === undefined) return known;
  const former = lane.get(names.former);
  if (former === undefined) return undefined;
  lane.delete(names.former);
  lane.set(names.current, former);
  return former;
}
