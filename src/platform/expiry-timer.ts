import type { Clock } from './clock.ts';
import { runOutsideRequest } from './request-context.ts';

export interface ExpiryTimerOptions {
  readonly clock: Clock;
  readonly intervalMs: number;
  /** Returns whether a deadline is pending; otherwise the timer stops. */
  readonly isNeeded: () => boolean;
  /** Expires every entry whose deadline on the monotonic clock is at or before `nowMs`. */
  readonly expire: (nowMs: number) => void;
}

/**
 * Creates one timer for many deadlines, because a timer for each deadline would cost more than the work that it limits.
 * A deadline may expire up to `intervalMs` late. The timer belongs to no request.
 * @returns a function that starts the timer if it is not running.
 */
export function createExpiryTimer({ clock, intervalMs, isNeeded, expire }: ExpiryTimerOptions): () => void {
  let isRunning = false;

  async function run(): Promise<void> {
    isRunning = true;
    while (isNeeded()) {
      await clock.sleep(intervalMs);
      const nowMs = clock.monotonicMs();
      // After a delay of the event loop, timers run before arrived responses are read, so this sleep lets the responses
      // be read before their deadlines expire.
      await clock.sleep(1);
      expire(nowMs);
    }
    isRunning = false;
  }

  return () => {
    if (!isRunning) runOutsideRequest(() => void run());
  };
}
