import type { Clock } from '#platform/clock.ts';
import { createExpiryTimer } from '#platform/expiry-timer.ts';
import type { Awaitable } from '../table/decision.ts';

interface Waiter {
  readonly untilMs: number;
  readonly expire: () => void;
}

/**
 * Limits each call to `timeoutMs`, with one timer for all calls, because one timer per call costs more than the call. A
 * timeout comes up to a fifth of `timeoutMs` late.
 */
export function createTimeLimit(clock: Clock, timeoutMs: number): <T>(work: Awaitable<T>) => Promise<T> {
  // In the order of their deadlines.
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
