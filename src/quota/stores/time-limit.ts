import type { Clock } from '#platform/clock.ts';
import type { Awaitable } from '../table/decision.ts';

interface Waiter {
  readonly untilMs: number;
  readonly expire: () => void;
}

/**
 * Gives every piece of work the same time, with one timer for all of them: a timer each cost more than the work. Whoever is late
 * is so by up to a fifth more.
 */
export function createTimeLimit(clock: Clock, timeoutMs: number): <T>(work: Awaitable<T>) => Promise<T> {
  // In the order of their times.
  const waiting = new Set<Waiter>();
  let isWatching = false;

  async function watch(): Promise<void> {
    isWatching = true;
    while (waiting.size > 0) {
      await clock.sleep(timeoutMs / 5);
      const nowMs = clock.monotonicMs();
      // An event loop that was busy runs timers before it reads answers that came long ago.
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
        expire: () => reject(new RangeError('it took too long')),
      };
      waiting.add(waiter);
      if (!isWatching) void watch();
      work.then(resolve, reject).finally(() => waiting.delete(waiter));
    });
  };
}
