import type { Clock } from '#platform/clock.ts';
import { createExpiryTimer } from '#platform/expiry-timer.ts';
import type { Awaitable } from '../table/decision.ts';

interface Waiter {
  readonly untilMs: number;
  readonly expire: () => void;
}

/**
 * Creates a function that rejects with RangeError when a call takes longer than `timeoutMs`. All calls share one timer,
 * because a timer for each would cost more than the call, so a timeout may be late by a fifth of `timeoutMs`.
 */
export function createTimeLimit(clock: Clock, timeoutMs: number): <T>(work: Awaitable<T>) => Promise<T> {
  // The set is in the order of the deadlines, because every call has the same timeout.
  const waiting = new Set<Waiter>();
  const startTimer = createExpiryTimer({
    clock,
    intervalMs: timeoutMs / 5,
    isNeeded: () => waiting.size > 0,
    expire(nowMs) {
      for (const waiter of waiting) {
        if (waiter.untilMs > nowMs) break;
        waiting.delete(waiter);
        waiter.expire();
      }
    },
  });

  return async <T>(work: Awaitable<T>): Promise<T> => {
    if (!(work instanceof Promise)) return work;
    return new Promise<T>((resolve, reject) => {
      const waiter: Waiter = {
        untilMs: clock.monotonicMs() + timeoutMs,
        expire: () => reject(new RangeError('the call took too long')),
      };
      waiting.add(waiter);
      startTimer();
      work.then(resolve, reject).finally(() => waiting.delete(waiter));
    });
  };
}
