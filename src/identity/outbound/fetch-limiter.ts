import type { Clock } from '#platform/clock.ts';
import { identityError } from '../identity-error.ts';
import { proofLevels } from '../did-documents/authenticated-addresses.ts';
import type { ProofLevel } from '../did-documents/authenticated-addresses.ts';

/**
 * Runs a limited number of tasks at once. Further tasks wait in a limited queue for a limited time, and those with the
 * highest proof level run first.
 */
export interface FetchLimiter {
  /**
   * Runs the task when a slot is free. `proofLevel` is `owner` by default.
   * @throws AppError IdentityUnavailable when the queue is full, or no slot became free in time.
   */
  run<T>(task: () => Promise<T>, proofLevel?: ProofLevel): Promise<T>;
}

/** Limits the tasks of each key separately. The limiter of a key exists only while tasks of the key run or wait. */
export interface KeyedFetchLimiter {
  /**
   * Runs the task when a slot of the key is free.
   * @throws AppError IdentityUnavailable when the queue of the key is full, or no slot became free in time.
   */
  run<T>(key: string, task: () => Promise<T>): Promise<T>;
}

export interface FetchLimiterOptions {
  readonly runningMax: number;
  readonly waitingMax: number;
  readonly waitMsMax: number;
  /** Number of the `runningMax` slots that are reserved for `owner` and `proven`, by default 0. */
  readonly provenOnly?: number;
}

interface Waiter {
  readonly proofLevel: ProofLevel;
  /** Aborted to end the wait. */
  readonly end: AbortController;
  hasSlot: boolean;
}

export function createFetchLimiter(clock: Clock, limits: FetchLimiterOptions): FetchLimiter {
  /** The waiting tasks in the order of arrival. */
  const waiting = new Set<Waiter>();
  let running = 0;

  function hasRoomFor(proofLevel: ProofLevel): boolean {
    return running < limits.runningMax - (proofLevel === 'unproven' ? (limits.provenOnly ?? 0) : 0);
  }

  async function takeSlot(proofLevel: ProofLevel): Promise<void> {
    if (hasRoomFor(proofLevel)) {
      running += 1;
      return;
    }
    if (waiting.size >= limits.waitingMax && !displaceOne(waiting, proofLevel))
      throw identityError('IdentityUnavailable');
    const waiter = { proofLevel, end: new AbortController(), hasSlot: false };
    waiting.add(waiter);
    await clock.sleep(limits.waitMsMax, waiter.end.signal);
    waiting.delete(waiter);
    if (!waiter.hasSlot) throw identityError('IdentityUnavailable');
  }

  /** Frees a slot and gives it to the next waiter at once, so that a task that arrives later cannot take it. */
  function releaseSlot(): void {
    running -= 1;
    const next = nextOf(waiting);
    if (next === undefined || !hasRoomFor(next.proofLevel)) return;
    running += 1;
    waiting.delete(next);
    next.hasSlot = true;
    next.end.abort();
  }

  return {
    async run(task, proofLevel = 'owner') {
      await takeSlot(proofLevel);
      try {
        return await task();
      } finally {
        releaseSlot();
      }
    },
  };
}

/** Returns the waiter of the highest proof level that has waited longest. */
function nextOf(waiting: ReadonlySet<Waiter>): Waiter | undefined {
  const waiters = [...waiting];
  for (const proofLevel of proofLevels) {
    const first = waiters.find((waiter) => waiter.proofLevel === proofLevel);
    if (first !== undefined) return first;
  }
  return undefined;
}

/**
 * Removes the newest waiter of the lowest proof level below `proofLevel`.
 * @returns whether a waiter was removed.
 */
function displaceOne(waiting: Set<Waiter>, proofLevel: ProofLevel): boolean {
  for (const lower of proofLevels.slice(proofLevels.indexOf(proofLevel) + 1).toReversed()) {
    const last = [...waiting].findLast((waiter) => waiter.proofLevel === lower);
    if (last === undefined) continue;
    waiting.delete(last);
    last.end.abort();
    return true;
  }
  return false;
}

export function createKeyedFetchLimiter(clock: Clock, limits: FetchLimiterOptions): KeyedFetchLimiter {
  const limiters = new Map<string, { readonly limiter: FetchLimiter; tasks: number }>();
  return {
    async run(key, task) {
      const entry = limiters.get(key) ?? { limiter: createFetchLimiter(clock, limits), tasks: 0 };
      limiters.set(key, entry);
      entry.tasks += 1;
      try {
        return await entry.limiter.run(task);
      } finally {
        entry.tasks -= 1;
        if (entry.tasks === 0) limiters.delete(key);
      }
    },
  };
}
