import { currentContext } from '#platform/request-context.ts';
import type { RequestSlot } from '#platform/request-context.ts';

/**
 * Limits the requests in progress. A request over the limit is refused at once, because a queue would delay all
 * requests, and the clients at its end would give up before they are served.
 */
export interface Admission {
  /** Takes a slot for a request, which the request must have in its context. Returns undefined when no slot is free. */
  takeSlot(): Slot | undefined;
  /**
   * Runs a task that waits for another machine, which sends the request body or a DID document. The request has no slot
   * during the task, because a few slow clients could otherwise take all slots. Limits on connections and on outbound
   * fetches bound the number of these tasks.
   */
  withoutSlot<T>(task: () => Promise<T>): Promise<T>;
  /**
   * Reports how late the event loop was. Repeated delays reduce the slots, but not below an eighth of them and not
   * below 16.
   */
  noteLoopDelay(delayMs: number): void;
  /**
   * Returns a value that differs between refused requests, so that their clients do not all retry in the same second.
   */
  nextRetryAfterSeconds(): number;
  /** Returns the number of requests in progress. */
  readonly inProgress: () => number;
}

/**
 * The reason why a request was refused. `full` means that all slots are taken. `late` means that the slots were reduced
 * because the event loop is late, and that all remaining slots are taken.
 */
export type ShedReason = 'full' | 'late';

export interface AdmissionDeps {
  readonly inProgressMax: number;
  readonly onShed?: (reason: ShedReason) => void;
}

/** The slot of one request. */
export interface Slot extends RequestSlot {
  /** Ends the use of the slot, once. */
  release(): void;
}

/** Half of the 100 ms within which a refusal should be sent. */
const loopDelayMsMax = 50;
/** Late samples in a row that count as overload. A single late sample may be one long garbage collection. */
const lateSamplesMin = 3;
const decreaseFactor = 0.75;
const slotsMinShare = 1 / 8;
/** The slots are not reduced below this number, because fewer requests do not delay the event loop. */
const slotsMin = 16;
const retryAfterSecondsMax = 5;

/**
 * Creates an admission limit that is reduced while the event loop is late (additive increase, multiplicative decrease).
 */
export function createAdmission({ inProgressMax, onShed }: AdmissionDeps): Admission {
  const limitMin = Math.min(inProgressMax, Math.max(slotsMin, Math.ceil(inProgressMax * slotsMinShare)));
  const increase = Math.max(1, Math.ceil(inProgressMax / 16));
  const used: SlotCount = { inProgress: 0 };
  let limit = inProgressMax;
  let lateSamples = 0;
  let refused = 0;

  return {
    takeSlot() {
      if (used.inProgress < limit) return new CountedSlot(used);
      refused += 1;
      onShed?.(used.inProgress >= inProgressMax ? 'full' : 'late');
      return undefined;
    },
    withoutSlot: (task) => currentContext()?.slot?.without(task) ?? task(),
    noteLoopDelay(delayMs) {
      lateSamples = delayMs > loopDelayMsMax ? lateSamples + 1 : 0;
      if (lateSamples === 0) limit = Math.min(inProgressMax, limit + increase);
      if (lateSamples >= lateSamplesMin) limit = Math.max(limitMin, Math.floor(limit * decreaseFactor));
    },
    nextRetryAfterSeconds: () => 1 + (refused % retryAfterSecondsMax),
    inProgress: () => used.inProgress,
  };
}

interface SlotCount {
  inProgress: number;
}

/** Tasks of the request that have no slot may run in parallel, and longer than the request. */
class CountedSlot implements Slot {
  readonly #used: SlotCount;
  #tasksWithout = 0;
  #isReleased = false;

  constructor(used: SlotCount) {
    this.#used = used;
    used.inProgress += 1;
  }

  async without<T>(task: () => Promise<T>): Promise<T> {
    if (this.#isReleased) return task();
    if (this.#tasksWithout++ === 0) this.#used.inProgress -= 1;
    try {
      return await task();
    } finally {
      if (--this.#tasksWithout === 0 && !this.#isReleased) this.#used.inProgress += 1;
    }
  }

  release(): void {
    if (this.#tasksWithout === 0) this.#used.inProgress -= 1;
    this.#isReleased = true;
  }
}
