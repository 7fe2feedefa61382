import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * How many requests the server works on at once. What comes on top is refused at once instead of waiting: a queue would make
 * everybody late, and those at its end have given up by the time it is their turn.
 */
export interface Admission {
  /** Whether a request would find a place; one that would not counts as refused. */
  hasRoom(): boolean;
  /** Runs a request in a place of its own; undefined if there is none, and then nothing has run. */
  admit<T>(request: () => Promise<T>): Promise<T> | undefined;
  /**
   * Runs what waits for somebody else: the client's body, a DID document. The request takes nobody's place meanwhile, or a few slow
   * senders could hold all of them; others bound how many there are (connections, the gates of outbound fetches).
   */
  aside<T>(task: () => Promise<T>): Promise<T>;
  /** How late the event loop was. While it stays late the server takes on less, down to an eighth, but not below 16. */
  noteLoopDelay(delayMs: number): void;
  /** Not the same for all that are refused, so that they do not come back in the same second. */
  nextRetryAfterSeconds(): number;
}

/** Why a request was refused: all places are taken, or those that a late event loop has left. */
export type ShedReason = 'full' | 'late';

export interface AdmissionDeps {
  readonly inProgressMax: number;
  /** Called with every change of the number of requests in progress. */
  readonly onChange?: (inProgress: number) => void;
  readonly onShed?: (reason: ShedReason) => void;
}

/** One request's place. What it does aside may go on in parallel, and even after its answer. */
interface Place {
  asideCount: number;
  isLeft: boolean;
}

/** Of the 100 ms within which a refusal should be out, half may pass before a request is looked at. */
const loopDelayMsMax = 50;
/** One long garbage collection is no overload. */
const lateSamplesMin = 3;
const cutFactor = 0.75;
const leastShare = 1 / 8;
/** So few requests do not make an event loop late. */
const leastPlaces = 16;
const retryAfterSecondsMax = 5;

/** Counts places, and has fewer of them while the event loop is late (additive increase, multiplicative decrease). */
export function createAdmission({ inProgressMax, onChange, onShed }: AdmissionDeps): Admission {
  const limitMin = Math.min(inProgressMax, Math.max(leastPlaces, Math.ceil(inProgressMax * leastShare)));
  const increase = Math.max(1, Math.ceil(inProgressMax / 16));
  const places = new AsyncLocalStorage<Place>();
  let limit = inProgressMax;
  let inProgress = 0;
  let lateSamples = 0;
  let refused = 0;

  function change(by: 1 | -1): void {
    inProgress += by;
    onChange?.(inProgress);
  }

  function hasRoom(): boolean {
    if (inProgress < limit) return true;
    refused += 1;
    onShed?.(inProgress >= inProgressMax ? 'full' : 'late');
    return false;
  }

  async function run<T>(place: Place, request: () => Promise<T>): Promise<T> {
    try {
      return await places.run(place, request);
    } finally {
      if (place.asideCount === 0) change(-1);
      place.isLeft = true;
    }
  }

  return {
    hasRoom,
    admit(request) {
      if (!hasRoom()) return undefined;
      change(1);
      return run({ asideCount: 0, isLeft: false }, request);
    },
    async aside(task) {
      const place = places.getStore();
      if (place === undefined || place.isLeft) return task();
      if (place.asideCount++ === 0) change(-1);
      try {
        return await task();
      } finally {
        if (--place.asideCount === 0 && !place.isLeft) change(1);
      }
    },
    noteLoopDelay(delayMs) {
      lateSamples = delayMs > loopDelayMsMax ? lateSamples + 1 : 0;
      if (lateSamples === 0) limit = Math.min(inProgressMax, limit + increase);
      if (lateSamples >= lateSamplesMin) limit = Math.max(limitMin, Math.floor(limit * cutFactor));
    },
    nextRetryAfterSeconds: () => 1 + (refused % retryAfterSecondsMax),
  };
}
