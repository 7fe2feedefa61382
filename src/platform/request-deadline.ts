import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from './clock.ts';
import { AppError } from './errors.ts';

/**
 * A request as far as it waits for the database. What is asked for it knows, through all that is awaited, whether it was given up.
 */
export interface RequestDeadline {
  readonly isExpired: boolean;
  /** Called once when the request is given up. @returns how to take that back. */
  onExpired(listener: () => void): () => void;
  /** Waits that are under way at once count once. @returns to be called when the wait is over. */
  beginWait(): () => void;
}

const deadlines = new AsyncLocalStorage<RequestDeadline | undefined>();

/** The request that this code runs for; undefined for what runs for none or for many. */
export function currentRequest(): RequestDeadline | undefined {
  return deadlines.getStore();
}

/** Runs what serves many requests together, so that it does not end with the one that happened to start it. */
export function runOutsideRequest<T>(task: () => T): T {
  return deadlines.run(undefined, task);
}

/**
 * Runs what serves all of these requests: it is given up when the last of them is, and never if one of them is undefined.
 */
export function runForRequests<T>(
  requests: readonly (RequestDeadline | undefined)[],
  task: () => Promise<T>,
): Promise<T> {
  const members = requests.filter((request) => request !== undefined);
  if (members.length < requests.length) return runOutsideRequest(task);
  const shared = new SharedDeadline();
  let left = members.length;
  const forget = members.map((member) =>
    member.onExpired(() => {
      left -= 1;
      if (left === 0) shared.expire();
    }),
  );
  return deadlines.run(shared, task).finally(() => forget.forEach((each) => each()));
}

/** Counts `task` as a wait for the database, and ends it when the request is given up; `task` itself then goes on. */
export function waitForDatabase<T>(task: () => Promise<T>): Promise<T> {
  const deadline = currentRequest();
  if (deadline === undefined) return task();
  if (deadline.isExpired) return Promise.reject(outcomeUnknown());
  const endWait = deadline.beginWait();
  return new Promise<T>((resolve, reject) => {
    const forget = deadline.onExpired(() => reject(outcomeUnknown()));
    task()
      .then(resolve, reject)
      .finally(() => {
        forget();
        endWait();
      });
  });
}

/** The refusal of a request that the database did not answer, or not in time. */
export function outcomeUnknown(): AppError<'ServiceUnavailable'> {
  return new AppError(
    'ServiceUnavailable',
    'The database cannot answer now. What the request was to store may or may not be stored. Repeat the request as Retry-After says, with the same msgId or idempotencyKey.',
    { retryAfterSeconds: 2 },
  );
}

export interface RequestDeadlines {
  /** Runs `task` as one request. @throws AppError ServiceUnavailable when it has waited for the database for too long. */
  run<T>(task: () => Promise<T>): Promise<T>;
}

const looksPerTimeout = 20;
/** So that every answer is out within five seconds of waiting. */
const timeoutMsDefault = 4_750;

/** Gives every request `timeoutMs` (default 4,750) of waiting for the database, all its waits together; one timer watches them all, and may be a twentieth late. */
export function createRequestDeadlines(clock: Clock, timeoutMs: number = timeoutMsDefault): RequestDeadlines {
  const waiting = new Set<ActiveDeadline>();
  let isWatching = false;

  async function watch(): Promise<void> {
    isWatching = true;
    while (waiting.size > 0) {
      await clock.sleep(timeoutMs / looksPerTimeout);
      const nowMs = clock.monotonicMs();
      // An event loop that was busy runs timers before it reads answers that came long ago.
      await clock.sleep(1);
      for (const deadline of waiting) if (deadline.waitedMs(nowMs) >= timeoutMs) deadline.expire();
    }
    isWatching = false;
  }

  return {
    run(task) {
      const deadline = new ActiveDeadline(clock, {
        began: () => {
          waiting.add(deadline);
          if (!isWatching) runOutsideRequest(() => void watch());
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
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
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
