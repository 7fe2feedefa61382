import type { QuotaState } from '../gcra.ts';

/** States by place. */
export interface CompactStates {
  read(place: number): QuotaState;
  write(place: number, state: QuotaState): void;
  remove(place: number): void;
}

/**
 * A state whose charges are all of one slot, as of whoever came once, takes 20 bytes; only those with more are objects. So a
 * flood of keys leaves no garbage behind that outlives it.
 */
export function createCompactStates(statesMax: number): CompactStates {
  const dueAtMs = new Float64Array(statesMax);
  const firstSlots = new Float64Array(statesMax);
  const counts = new Uint32Array(statesMax);
  const longer = new Map<number, QuotaState>();
  return {
    read: (place) =>
      longer.get(place) ?? {
        dueAtMs: dueAtMs[place] ?? 0,
        firstSlot: firstSlots[place] ?? 0,
        counts: [counts[place] ?? 0],
      },
    write(place, state) {
      const only = onlySlot(state.counts);
      if (only === -1) {
        longer.set(place, state);
        return;
      }
      longer.delete(place);
      dueAtMs[place] = state.dueAtMs;
      firstSlots[place] = state.firstSlot + only;
      counts[place] = state.counts[only] ?? 0;
    },
    remove: (place) => void longer.delete(place),
  };
}

/** The index of the only count that is not zero; the last one when all are; -1 when there are several. */
function onlySlot(counts: readonly number[]): number {
  const newest = counts.findLastIndex((count) => count > 0);
  if (newest === -1) return Math.max(0, counts.length - 1);
  return counts.findIndex((count) => count > 0) === newest ? newest : -1;
}
