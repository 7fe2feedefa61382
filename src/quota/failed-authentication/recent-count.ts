/** Counts the events of the last minute in slots of two seconds, with the newest slot first. */
export interface RecentCount {
  readonly slot: number;
  readonly counts: number[];
}

const slotMs = 2_000;
const slotsPerMinute = 60_000 / slotMs;
/** The slots of a whole minute and the slot that has not ended. */
const slotsMax = slotsPerMinute + 1;

/** Counts one more event in place if its slot is the newest one. Returns whether it was counted. */
export function countInNewestSlot({ slot, counts }: RecentCount, nowMs: number): boolean {
  const isNewest = slot >= Math.floor(nowMs / slotMs);
  if (isNewest) counts[0] = (counts[0] ?? 0) + 1;
  return isNewest;
}

/** Returns the count with one more event at `nowMs`. */
export function countOne(recent: RecentCount | undefined, nowMs: number): RecentCount {
  const { slot, counts } = shifted(recent, nowMs);
  return { slot, counts: [(counts[0] ?? 0) + 1, ...counts.slice(1)] };
}

/**
 * Returns the number of events in the last 58 to 60 seconds (`atMost`) or in the last 60 to 62 seconds (`atLeast`). The
 * span is inexact because a slot is two seconds wide.
 */
export function countNow(recent: RecentCount | undefined, nowMs: number, minute: 'atMost' | 'atLeast'): number {
  const slots = minute === 'atMost' ? slotsPerMinute : slotsMax;
  return shifted(recent, nowMs)
    .counts.slice(0, slots)
    .reduce((sum, count) => sum + count, 0);
}

function shifted(recent: RecentCount | undefined, nowMs: number): RecentCount {
  const slot = Math.floor(nowMs / slotMs);
  if (recent === undefined || recent.slot >= slot) return recent ?? { slot, counts: [] };
  const passed = Math.min(slot - recent.slot, slotsMax);
  const empty = Array.from({ length: passed }, () => 0);
  return { slot, counts: [...empty, ...recent.counts].slice(0, slotsMax) };
}
