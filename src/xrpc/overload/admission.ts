import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * Limits the requests in progress. A request over the limit is refused at once and does not wait: a queue would make all requests late,
 * and the clients at its end would have given up before their turn.
 */
export interface Admission {
  /** Runs a request in a slot of its own; runs nothing and returns undefined when no slot is free. */
  admit<T>(request: () => Promise<T>): Promise<T> | undefined;
  /**
   * Runs a task that waits for another machine: for the body of the request, or for a DID document. The request has no slot meanwhile,
   * because a few slow clients could take all slots; limits on connections and on outbound fetches bound the number of such tasks.
   */
  withoutSlot<T>(task: () => Promise<T>): Promise<T>;
  /** Reports how late the event loop was. While it stays late there are fewer slots: an eighth at least, and not below 16. */
  noteLoopDelay(delayMs: number): void;
  /** Differs between refused requests, so that their clients do not all repeat them in the same second. */
  nextRetryAfterSeconds(): number;
}

/** Why a request was refused: all slots are taken, or all that are left while the event loop is late. */
export type ShedReason = 'full' | 'late';

export interface AdmissionDeps {
  readonly inProgressMax: number;
  /** Called with every change of the number of requests in progress. */
  readonly onChange?: (inProgress: number) => void;
  readonly onShed?: (reason: ShedReason) => void;
}

/** The slot of one request. Its tasks without a slot may run in parallel, and longer than the request. */
interface Slot {
  tasksWithoutSlot: number;
  isReleased: boolean;
}

/** Half of the 100 ms within which a refusal should be sent. */
const loopDelayMsMax = 50;
/** One long garbage collection is no overload. */
const lateSamplesMin = 3;
const decreaseFactor = 0.75;
const slotsMinShare = 1 / 8;
/** Fewer requests than this do not make an event loop late. */
const slotsMin = 16;
const retryAfterSecondsMax = 5;

/** Counts slots, and has fewer of them while the event loop is late (additive increase, multiplicative decrease). */
export function createAdmission({ inProgressMax, onChange, onShed }: AdmissionDeps): Admission {
  const limitMin = Math.min(inProgressMax, Math.max(slotsMin, Math.ceil(inProgressMax * slotsMinShare)));
  const increase = Math.max(1, Math.ceil(inProgressMax / 16));
  const slots = new AsyncLocalStorage<Slot>();
  let limit = inProgressMax;
  let inProgress = 0;
  let lateSamples = 0;
  let refused = 0;

  function change(by: 1 | -1): void {
    inProgress += by;
    onChange?.(inProgress);
  }

  async function run<T>(slot: Slot, request: () => Promise<T>): Promise<T> {
    try {
      return await slots.run(slot, request);
    } finally {
      if (slot.tasksWithoutSlot === 0) change(-1);
      slot.isReleased = true;
    }
  }

  return {
    admit(request) {
      if (inProgress >= limit) {
        refused += 1;
        onShed?.(inProgress >= inProgressMax ? 'full' : 'late');
        return undefined;
      }
      change(1);
      return run({ tasksWithoutSlot: 0, isReleased: false }, request);
    },
    async withoutSlot(task) {
      const slot = slots.getStore();
      if (slot === undefined || slot.isReleased) return task();
      if (slot.tasksWithoutSlot++ === 0) change(-1);
      try {
        return await task();
      } finally {
        if (--slot.tasksWithoutSlot === 0 && !slot.isReleased) change(1);
      }
    },
    noteLoopDelay(delayMs) {
      lateSamples = delayMs > loopDelayMsMax ? lateSamples + 1 : 0;
      if (lateSamples === 0) limit = Math.min(inProgressMax, limit + increase);
      if (lateSamples >= lateSamplesMin) limit = Math.max(limitMin, Math.floor(limit * decreaseFactor));
    },
    nextRetryAfterSeconds: () => 1 + (refused % retryAfterSecondsMax),
  };
}
