import type { Outcome } from './gcra.ts';

/** Buckets that a shared store refused: until their wait is over, asking again would say the same and cost a round trip. */
export interface RefusedBuckets {
  /** The refusal that still holds for a charge of `cost`. */
  find(name: string, cost: number, nowMs: number): Outcome | undefined;
  add(name: string, cost: number, nowMs: number, refusal: Outcome): void;
  remove(name: string): void;
}

/** Below what a client can wait, above what sums of times lose. */
const roundingMs = 1e-3;

interface Refused {
  readonly cost: number;
  readonly sinceMs: number;
  readonly refusal: Outcome;
}

/** Remembers the `bucketsMax` latest; whoever is forgotten costs a round trip. */
export function createRefusedBuckets(bucketsMax: number): RefusedBuckets {
  const buckets = new Map<string, Refused>();
  return {
    find(name, cost, nowMs) {
      const known = buckets.get(name);
      if (known === undefined) return undefined;
      const { sinceMs, refusal } = known;
      const waitMs = sinceMs + refusal.waitMs - nowMs;
      const isOver = waitMs <= roundingMs;
      if (isOver) buckets.delete(name);
      // A cheaper charge may still have room.
      if (isOver || cost < known.cost) return undefined;
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
