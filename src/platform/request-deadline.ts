import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from './clock.ts';
import { AppError } from './errors.ts';
import { createExpiryTimer } from './expiry-timer.ts';

/**
 * Limits the time that one request waits for the database. Code that runs for the request gets the deadline from the
 * async context with `currentRequest`.
 */
export interface RequestDeadline {
  readonly isExpired: boolean;
  /**
   * Calls `listener` once when the request has waited too long.
   * @returns a function that removes the listener.
   */
  onExpired(listener: () => void): () => void;
  /**
   * Starts a wait for the database. The time of concurrent waits counts once.
   * @returns a function to call when the wait ends.
   */
  beginWait(): () => void;
}

const deadlines = new AsyncLocalStorage<RequestDeadline | undefined>();

/**
 * Returns the deadline of the request, or of several requests, for which this code runs; undefined for code without a
 * deadline.
 */
export function currentRequest(): RequestDeadline | undefined {
  return deadlines.getStore();
}

/**
 * Runs `task` without a deadline, so that work for several requests does not expire with the request that started it.
 */
export function runOutsideRequest<T>(task: () => T): T {
  return deadlines.run(undefined, task);
}

/**
 * Runs a task that serves all of `requests`, with a deadline that expires when the last of their deadlines has expired.
 * The task has no deadline when one of `requests` is undefined.
 */
export function runForRequests<T>(
  requests: readonly (RequestDeadline | undefined)[],
  task: () => Promise<T>,
): Promise<T> {
  const deadlinesOfRequests = requests.filter((request) => request !== undefined);
  if (deadlinesOfRequests.length < requests.length) return runOutsideRequest(task);
  const shared = new SharedDeadline();
  let left = deadlinesOfRequests.length;
  const removeListeners = deadlinesOfRequests.map((deadline) =>
    deadline.onExpired(() => {
      left -= 1;
      if (left === 0) shared.expire();
    }),
  );
  return deadlines.run(shared, task).finally(() => removeListeners.forEach((each) => each()));
}

/**
 * Runs `task` and counts its time as a wait for the database. When the deadline of the request expires, the returned
 * promise rejects with ServiceUnavailable, and `task` itself continues.
 */
export function waitForDatabase<T>(task: () => Promise<T>): Promise<T> {
  const deadline = currentRequest();
  if (deadline === undefined) return task();
  if (deadline.isExpired) return Promise.reject(outcomeUnknown());
  const endWait = deadline.beginWait();
  return new Promise<T>((resolve, reject) => {
    const removeListeners = deadline.onExpired(() => reject(outcomeUnknown()));
    task()
      .then(resolve, reject)
      .finally(() => {
        removeListeners();
        endWait();
      });
  });
}

/** Creates the error for a request to which the database did not respond in time. */
export function outcomeUnknown(): AppError<'ServiceUnavailable'> {
  return new AppError(
    'ServiceUnavailable',
    'The database is not available. The request may or may not have taken effect. Repeat it after the time in Retry-After, with the same msgId or idempotencyKey.',
    { retryAfterSeconds: 2 },
  );
}

export interface RequestDeadlines {
  /**
   * Runs `task` as one request.
   * @throws AppError ServiceUnavailable when the request has waited too long for the database.
   */
  run<T>(task: () => Promise<T>): Promise<T>;
}

const checksPerTimeout = 20;
/** Milliseconds, so that even a timeout that is late by a twentieth ends within five seconds. */
const timeoutMsDefault = 4_750;

/**
 * Limits the total time that each request waits for the database to `timeoutMs` (default 4,750). One timer checks all
 * requests, so a timeout may be late by a twentieth of `timeoutMs`.
 */
export function createRequestDeadlines(clock: Clock, timeoutMs: number = timeoutMsDefault): RequestDeadlines {
  const waiting = new Set<ActiveDeadline>();
  const startTimer = createExpiryTimer({
    clock,
    intervalMs: timeoutMs / checksPerTimeout,
    isNeeded: () => waiting.size > 0,
    expire(nowMs) {
      for (const deadline of waiting) if (deadline.waitedMs(nowMs) >= timeoutMs) deadline.expire();
    },
  });

  return {
    run(task) {
      const deadline = new ActiveDeadline(clock, {
        began: () => {
          waiting.add(deadline);
          runOutsideRequest(startTimer);
        },
        ended: () => waiting.delete(deadline),
      });
      return deadlines.run(deadline, task);
    },
  };
}

class SharedDeadline implements RequestDeadline {
  readonly #listeners = new Set<() => void>();
  isExpired = false;

  beginWait(): () => void {
    return () => undefined;
  }

  onExpired(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  expire(): void {
    this.isExpired = true;
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }
}

class ActiveDeadline extends SharedDeadline {
  readonly #clock: Clock;
  readonly #on: { readonly began: () => void; readonly ended: () => void };
  #waits = 0;
  #sinceMs = 0;
  #spentMs = 0;

  constructor(clock: Clock, on: { readonly began: () => void; readonly ended: () => void }) {
    super();
    this.#clock = clock;
    this.#on = on;
  }

  override beginWait(): () => void {
    if (this.#waits++ === 0) {
      this.#sinceMs = this.#clock.monotonicMs();
      this.#on.began();
    }
    let isEnded = false;
    return () => {
      if (isEnded) return;
      isEnded = true;
      if (--this.#waits > 0) return;
      this.#spentMs += this.#clock.monotonicMs() - this.#sinceMs;
      this.#on.ended();
    };
  }

  waitedMs(nowMs: number): number {
    return this.#spentMs + (this.#waits === 0 ? 0 : nowMs - this.#sinceMs);
  }

  override expire(): void {
    super.expire();
    this.#on.ended();
  }
}
