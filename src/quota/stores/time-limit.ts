import type { Clock } from '#platform/clock.ts';
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
  let isWatching = false;

  async function watch(): Promise<void> {
    isWatching = true;
    while (waiting.size > 0) {
      await clock.sleep(timeoutMs / 5);
      const nowMs = clock.monotonicMs();
      // After a delay of the event loop, timers run before responses that have already arrived are read.
      await clock.sleep(1);
      for (const waiter of waiting) {
        if (waiter.untilMs > nowMs) break;
        waiting.delete(waiter);
        waiter.expire();
      }
    }
    isWatching = false;
  }

  return async <T>(work: Awaitable<T>): Promise<T> => {
    if (!(work instanceof Promise)) return work;
    return new Promise<T>((resolve, reject) => {
      const waiter: Waiter = {
        untilMs: clock.monotonicMs() + timeoutMs,
        expire: () => reject(new RangeError('the call took too long')),
      };
      waiting.add(waiter);
      if (!isWatching) void watch();
      work.then(resolve, reject).finally(() => waiting.delete(waiter));
    });
  };
}
