/**
 * Orders indexes by expiry, with one queue for each width of a window. A queue is in the order of the last changes, so
 * that its first index expires first.
 */
export interface ExpiryQueues {
  append(index: number, windowMs: number): void;
  /** Removes an index from its queue. */
  unlink(index: number): void;
  /**
   * Calls `expire` with the first index of each queue until `expire` returns false. `expire` must unlink the index when
   * it returns true.
   */
  sweep(expire: (index: number, windowMs: number) => boolean): void;
}

interface ExpiryQueue {
  readonly windowMs: number;
  /** The first index plus one, or 0 for an empty queue. */
  first: number;
  last: number;
}

/**
 * Creates queues for indexes below `indexesMax`. They are linked lists in typed arrays, because a Map keeps the memory
 * of deleted entries until it is rehashed.
 */
export function createExpiryQueues(indexesMax: number): ExpiryQueues {
  const queues: ExpiryQueue[] = [];
  const queueOf = new Uint8Array(indexesMax);
  const before = new Int32Array(indexesMax);
  const after = new Int32Array(indexesMax);

  function queueFor(windowMs: number): number {
    const queueIndex = queues.findIndex((queue) => queue.windowMs === windowMs);
    return queueIndex === -1 ? queues.push({ windowMs, first: 0, last: 0 }) - 1 : queueIndex;
  }

  return {
    append(index, windowMs) {
      const queueIndex = queueFor(windowMs);
      const queue = queues[queueIndex];
      if (queue === undefined) return;
      queueOf[index] = queueIndex;
      before[index] = queue.last;
      after[index] = 0;
      if (queue.last === 0) queue.first = index + 1;
      else after[queue.last - 1] = index + 1;
      queue.last = index + 1;
    },
    unlink(index) {
      const queue = queues[queueOf[index] ?? 0];
      const [left, right] = [before[index] ?? 0, after[index] ?? 0];
      if (left !== 0) after[left - 1] = right;
      else if (queue !== undefined) queue.first = right;
      if (right !== 0) before[right - 1] = left;
      else if (queue !== undefined) queue.last = left;
    },
    sweep(expire) {
      for (const queue of queues) while (queue.first !== 0 && expire(queue.first - 1, queue.windowMs));
    },
  };
}
