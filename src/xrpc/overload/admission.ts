import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * Limits the requests in progress. A request over the limit is refused at once, because a queue would delay all
 * requests, and the clients at its end would give up before they are served.
 */
export interface Admission {
  /** Runs a request in a free slot. Returns undefined without running it when no slot is free. */
  admit<T>(request: () => Promise<T>): Promise<T> | undefined;
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

/** The slot of one request. Tasks of the request that have no slot may run in parallel, and longer than the request. */
interface Slot {
  tasksWithoutSlot: number;
  isReleased: boolean;
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
  const slots = new AsyncLocalStorage<Slot>();
  let limit = inProgressMax;
  let inProgress = 0;
  let lateSamples = 0;
  let refused = 0;

  async function run<T>(slot: Slot, request: () => Promise<T>): Promise<T> {
    try {
      return await slots.run(slot, request);
    } finally {
      if (slot.tasksWithoutSlot === 0) inProgress -= 1;
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
      inProgress += 1;
      return run({ tasksWithoutSlot: 0, isReleased: false }, request);
    },
    async withoutSlot(task) {
      const slot = slots.getStore();
      if (slot === undefined || slot.isReleased) return task();
      if (slot.tasksWithoutSlot++ === 0) inProgress -= 1;
      try {
        return await task();
      } finally {
        if (--slot.tasksWithoutSlot === 0 && !slot.isReleased) inProgress += 1;
      }
    },
    noteLoopDelay(delayMs) {
      lateSamples = delayMs > loopDelayMsMax ? lateSamples + 1 : 0;
      if (lateSamples === 0) limit = Math.min(inProgressMax, limit + increase);
      if (lateSamples >= lateSamplesMin) limit = Math.max(limitMin, Math.floor(limit * decreaseFactor));
    },
    nextRetryAfterSeconds: () => 1 + (refused % retryAfterSecondsMax),
    inProgress: () => inProgress,
  };
}
