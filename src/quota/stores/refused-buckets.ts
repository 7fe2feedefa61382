import type { Outcome } from './gcra.ts';

/**
 * Buckets that the shared store refused. Until the wait ends another call would return the same result and cost a round
 * trip.
 */
export interface RefusedBuckets {
  /** Returns the refusal that still applies to a charge of `cost`. */
  find(name: string, cost: number, nowMs: number): Outcome | undefined;
  add(name: string, cost: number, nowMs: number, refusal: Outcome): void;
  remove(name: string): void;
}

/** Below what a client can wait, above the rounding error of sums of times. */
const roundingMs = 1e-3;

interface Refused {
  readonly cost: number;
  readonly sinceMs: number;
  readonly refusal: Outcome;
}

/** Stores the `bucketsMax` latest refusals; an evicted one costs a round trip. */
export function createRefusedBuckets(bucketsMax: number): RefusedBuckets {
  const buckets = new Map<string, Refused>();
  return {
    find(name, cost, nowMs) {
      const entry = buckets.get(name);
      if (entry === undefined) return undefined;
      const { sinceMs, refusal } = entry;
      const waitMs = sinceMs + refusal.waitMs - nowMs;
      const isOver = waitMs <= roundingMs;
      if (isOver) buckets.delete(name);
      // A cheaper charge may still have room.
      if (isOver || cost < entry.cost) return undefined;
      return { ...refusal, waitMs, restoredInMs: Math.max(waitMs, refusal.restoredInMs - (nowMs - sinceMs)) };
    },
    add(name, cost, nowMs, refusal) {
      buckets.delete(name);
      buckets.set(name, { cost, sinceMs: nowMs, refusal });
      if (buckets.size <= bucketsMax) return;
      for (const oldest of buckets.keys()) {
        buckets.delete(oldest);
        return;
      }
    },
    remove: (name) => void buckets.delete(name),
  };
}
