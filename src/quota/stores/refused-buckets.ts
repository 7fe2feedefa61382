import type { Outcome } from './gcra.ts';

/**
 * Stores the refusals of the shared store until their wait ends, because another call would cost a round trip and be
 * refused again.
 */
export interface RefusedBuckets {
  /** Returns the refusal that still applies to a charge of `cost`, or undefined without one. */
  find(name: string, cost: number, nowMs: number): Outcome | undefined;
  add(name: string, cost: number, nowMs: number, refusal: Outcome): void;
  remove(name: string): void;
}

/** One microsecond, which is more than the rounding error of sums of times and too short to matter to a client. */
const roundingMs = 1e-3;

interface Refused {
  readonly cost: number;
  readonly sinceMs: number;
  readonly refusal: Outcome;
}

/**
 * Creates a store of the latest `bucketsMax` refusals. After a refusal is evicted, the next charge of the bucket costs
 * a round trip.
 */
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
