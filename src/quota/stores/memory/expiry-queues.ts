/** Places by the width of their window, in the order of their last change: what is spent first stands first. */
export interface ExpiryQueues {
  append(place: number, windowMs: number): void;
  /** Takes a place out that was appended. */
  unlink(place: number): void;
  /** The first place of every queue for as long as `isOver` holds for it, which has to unlink it. */
  sweep(isOver: (place: number, windowMs: number) => boolean): void;
}

interface ExpiryQueue {
  readonly windowMs: number;
  /** A place plus one; 0 stands for none. */
  first: number;
  last: number;
}

/** Linked lists in typed arrays: a Map keeps the places of what was removed until it is packed. */
export function createExpiryQueues(placesMax: number): ExpiryQueues {
  const queues: ExpiryQueue[] = [];
  const queueOf = new Uint8Array(placesMax);
  const before = new Int32Array(placesMax);
  const after = new Int32Array(placesMax);

  function queueFor(windowMs: number): number {
    const known = queues.findIndex((queue) => queue.windowMs === windowMs);
    return known === -1 ? queues.push({ windowMs, first: 0, last: 0 }) - 1 : known;
  }

  return {
    append(place, windowMs) {
      const index = queueFor(windowMs);
      const queue = queues[index];
      if (queue === undefined) return;
      queueOf[place] = index;
      before[place] = queue.last;
      after[place] = 0;
      if (queue.last === 0) queue.first = place + 1;
      else after[queue.last - 1] = place + 1;
      queue.last = place + 1;
    },
    unlink(place) {
      const queue = queues[queueOf[place] ?? 0];
      const [left, right] = [before[place] ?? 0, after[place] ?? 0];
      if (left !== 0) after[left - 1] = right;
      else if (queue !== undefined) queue.first = right;
      if (right !== 0) before[right - 1] = left;
      else if (queue !== undefined) queue.last = left;
    },
    sweep(isOver) {
      for (const queue of queues) while (queue.first !== 0 && isOver(queue.first - 1, queue.windowMs));
    },
  };
}
