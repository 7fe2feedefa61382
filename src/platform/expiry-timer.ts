import type { Clock } from './clock.ts';

export interface ExpiryTimerOptions {
  readonly clock: Clock;
  readonly intervalMs: number;
  /** The timer stops when this returns false. */
  readonly isNeeded: () => boolean;
  /** Expires everything whose deadline is at or before `nowMs` of the monotonic clock. */
  readonly expire: (nowMs: number) => void;
}

/**
 * One timer for many deadlines, because a timer for each costs more than the work. A deadline expires up to `intervalMs` late.
 * @returns a function that starts the timer unless it runs.
 */
export function createExpiryTimer({ clock, intervalMs, isNeeded, expire }: ExpiryTimerOptions): () => void {
  let isRunning = false;

  async function run(): Promise<void> {
    isRunning = true;
    while (isNeeded()) {
      await clock.sleep(intervalMs);
      const nowMs = clock.monotonicMs();
      // After a delay of the event loop, timers run before responses that have already arrived are read.
      await clock.sleep(1);
      expire(nowMs);
    }
    isRunning = false;
  }

  return () => {
    if (!isRunning) void run();
  };
}
