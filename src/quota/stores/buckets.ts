import { isSpent } from './gcra.ts';
import type { QuotaRule, QuotaState } from './gcra.ts';
import { createExpiryQueues } from './memory/expiry-queues.ts';
import { createNameTable } from './memory/name-table.ts';
import { createCompactStates } from './memory/compact-states.ts';
import type { BucketNames } from './quota-store.ts';

/** States by name, of a bounded number. */
export interface Buckets {
  /** What is known of a bucket; of a newcomer for whom there is no room, what is known of all of those together. */
  find(names: BucketNames, rule: QuotaRule): QuotaState | undefined;
  keep(names: BucketNames, rule: QuotaRule, state: QuotaState): void;
  /** Forgets what no longer counts. */
  sweep(nowMs: number): void;
  count(): number;
}

const sweepEveryMs = 1_000;

export function createBuckets(bucketsMax: number): Buckets {
  const table = createNameTable(bucketsMax);
  const states = createCompactStates(bucketsMax);
  const overflow = new Map<string, QuotaState>();
  const lanes = createExpiryQueues(bucketsMax);
  let sweptAtMs = -Infinity;

  function drop(place: number): void {
    lanes.unlink(place);
    states.remove(place);
    table.remove(place);
  }

  function placeOf({ current, former }: BucketNames): number {
    const place = table.find(current);
    return place !== -1 || former === undefined ? place : table.find(former);
  }

  return {
    find(names, rule) {
      const place = placeOf(names);
      if (place !== -1) return states.read(place);
      return table.count() === bucketsMax ? overflow.get(rule.name) : undefined;
    },
    keep(names, rule, state) {
      let place = table.find(names.current);
      if (place === -1) {
        const former = placeOf(names);
        if (former !== -1) drop(former);
        place = table.add(names.current);
        if (place === -1) return void overflow.set(rule.name, state);
      } else {
        lanes.unlink(place);
      }
      states.write(place, state);
      lanes.append(place, rule.windowMs);
    },
    sweep(nowMs) {
      if (nowMs - sweptAtMs < sweepEveryMs) return;
      sweptAtMs = nowMs;
      lanes.sweep((place, windowMs) => {
        const isOver = isSpent({ windowMs }, states.read(place), nowMs);
        if (isOver) drop(place);
        return isOver;
      });
    },
    count: () => table.count(),
  };
}
