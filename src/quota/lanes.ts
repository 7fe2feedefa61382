/** Places by the width of their window, in the order of their last change: what is spent first stands first. */
export interface Lanes {
  append(place: number, windowMs: number): void;
  /** Takes a place out that was appended. */
  unlink(place: number): void;
  /** The first place of every lane for as long as `isOver` holds for it, which has to unlink it. */
  sweep(isOver: (place: number, windowMs: number) => boolean): void;
}

interface Lane {
  readonly windowMs: number;
  /** A place plus one; 0 stands for none. */
  first: number;
  last: number;
}

/** Linked lists in typed arrays: a Map keeps the places of what was removed until it is packed. */
export function createLanes(placesMax: number): Lanes {
  const lanes: Lane[] = [];
  const laneOf = new Uint8Array(placesMax);
  const before = new Int32Array(placesMax);
  const after = new Int32Array(placesMax);

  function laneFor(windowMs: number): number {
    const known = lanes.findIndex((lane) => lane.windowMs === windowMs);
    return known === -1 ? lanes.push({ windowMs, first: 0, last: 0 }) - 1 : known;
  }

  return {
    append(place, windowMs) {
      const index = laneFor(windowMs);
      const lane = lanes[index];
      if (lane === undefined) return;
      laneOf[place] = index;
      before[place] = lane.last;
      after[place] = 0;
      if (lane.last === 0) lane.first = place + 1;
      else after[lane.last - 1] = place + 1;
      lane.last = place + 1;
    },
    unlink(place) {
      const lane = lanes[laneOf[place] ?? 0];
      const [left, right] = [before[place] ?? 0, after[place] ?? 0];
      if (left !== 0) after[left - 1] = right;
      else if (lane !== undefined) lane.first = right;
      if (right !== 0) before[right - 1] = left;
      else if (lane !== undefined) lane.last = left;
    },
    sweep(isOver) {
      for (const lane of lanes) while (lane.first !== 0 && isOver(lane.first - 1, lane.windowMs));
    },
  };
}
