import type { Clock } from './clock.ts';
import { AppError } from './errors.ts';
import { createExpiryTimer } from './expiry-timer.ts';
import { currentContext, runInContext, runOutsideRequest } from './request-context.ts';
import type { RequestDeadline, RequestSlot } from './request-context.ts';

/**
 * Returns the deadline of the request, or of several requests, for which this code runs; undefined for code without a
 * deadline.
 */
export function currentRequest(): RequestDeadline | undefined {
  return currentContext()?.deadline;
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
  return runInContext({ deadline: shared }, task).finally(() => removeListeners.forEach((each) => each()));
}

/**
 * Runs `task` and counts its time as a wait for the database. When the deadline of the request expires, the returned
 * promise rejects with ServiceUnavailable, and `task` itself continues.
 */
export function waitForDatabase<T>(task: () => Promise<T>): Promise<T> {
  const deadline = currentRequest();
  if (deadline === undefined) return task();
  if (deadline.isExpired) return Promise.reject(outcomeUnknown());
  return new Promise<T>((resolve, reject) => {
    const endWait = deadline.beginWait(() => reject(outcomeUnknown()));
    task().then(
      (result) => {
        endWait();
        resolve(result);
      },
      (error: unknown) => {
        endWait();
        reject(error);
      },
    );
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
   * Runs `task` as one request, which has `slot` if one is given.
   * @throws AppError ServiceUnavailable when the request has waited too long for the database.
   */
  run<T>(task: () => Promise<T>, slot?: RequestSlot): Promise<T>;
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
  const timer: DeadlineTimer = { clock, waiting, start: startTimer };

  return { run: (task, slot) => runInContext({ deadline: new ActiveDeadline(timer), slot }, task) };
}

/** The timer that checks all requests. */
interface DeadlineTimer {
  readonly clock: Clock;
  /** The deadlines that the timer checks. */
  readonly waiting: Set<ActiveDeadline>;
  start(): void;
}

class SharedDeadline implements RequestDeadline {
  readonly #listeners = new Set<() => void>();
  isExpired = false;

  beginWait(onExpired: () => void): () => void {
    return this.onExpired(onExpired);
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
  readonly #timer: DeadlineTimer;
  #waits = 0;
  #sinceMs = 0;
  #spentMs = 0;

  constructor(timer: DeadlineTimer) {
    super();
    this.#timer = timer;
  }

  override beginWait(onExpired: () => void): () => void {
    const removeListener = this.onExpired(onExpired);
    if (this.#waits++ === 0) {
      this.#sinceMs = this.#timer.clock.monotonicMs();
      this.#timer.waiting.add(this);
      this.#timer.start();
    }
    let isEnded = false;
    return () => {
      if (isEnded) return;
      isEnded = true;
      removeListener();
      if (--this.#waits > 0) return;
      this.#spentMs += this.#timer.clock.monotonicMs() - this.#sinceMs;
      this.#timer.waiting.delete(this);
    };
  }

  waitedMs(nowMs: number): number {
    return this.#spentMs + (this.#waits === 0 ? 0 : nowMs - this.#sinceMs);
  }

  override expire(): void {
    super.expire();
    this.#timer.waiting.delete(this);
  }
}
