import type { QuotaState } from '../gcra.ts';

/** Stores quota states by index. */
export interface CompactStates {
  read(index: number): QuotaState;
  write(index: number, state: QuotaState): void;
  remove(index: number): void;
}

/**
 * Creates a store that needs only 20 bytes in typed arrays for a state with charges in one slot, and creates objects
 * only for states with more slots. A flood of new keys therefore leaves no long-lived objects for the garbage
 * collector.
 */
export function createCompactStates(statesMax: number): CompactStates {
  const dueAtMs = new Float64Array(statesMax);
  const firstSlots = new Float64Array(statesMax);
  const counts = new Uint32Array(statesMax);
  const longer = new Map<number, QuotaState>();
  return {
    read: (index) =>
      longer.get(index) ?? {
        dueAtMs: dueAtMs[index] ?? 0,
        firstSlot: firstSlots[index] ?? 0,
        counts: [counts[index] ?? 0],
      },
    write(index, state) {
      const only = onlySlot(state.counts);
      if (only === -1) {
        longer.set(index, state);
        return;
      }
      longer.delete(index);
      dueAtMs[index] = state.dueAtMs;
      firstSlots[index] = state.firstSlot + only;
      counts[index] = state.counts[only] ?? 0;
    },
    remove: (index) => void longer.delete(index),
  };
}

/**
 * Returns the index of the only count that is not zero, the last index when all counts are zero, or -1 when several are
 * not zero.
 */
function onlySlot(counts: readonly number[]): number {
  let only: number | undefined;
  for (let index = 0; index < counts.length; index++) {
    if (counts[index] === 0) continue;
    if (only !== undefined) return -1;
    only = index;
  }
  return only ?? Math.max(0, counts.length - 1);
}
