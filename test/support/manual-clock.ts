import type { Clock } from '#platform/clock.ts';

/** A clock that advances only when a test calls `advance`. */
export interface ManualClock extends Clock {
  advance(durationMs: number): void;
  /** The remaining milliseconds of all sleeps that have not ended. */
  sleeping(): readonly number[];
}

export function createManualClock(startMs: number): ManualClock {
  let nowMs = startMs;
  let sleepers: { readonly untilMs: number; readonly wake: () => void }[] = [];
  return {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: (delayMs, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted === true) return resolve();
        sleepers.push({ untilMs: nowMs + delayMs, wake: resolve });
        signal?.addEventListener('abort', () => resolve(), { once: true });
      }),
    advance(durationMs) {
      nowMs += durationMs;
      const awake = sleepers.filter(({ untilMs }) => untilMs <= nowMs);
      sleepers = sleepers.filter(({ untilMs }) => untilMs > nowMs);
      for (const { wake } of awake) wake();
    },
    sleeping: () => sleepers.map(({ untilMs }) => untilMs - nowMs),
  };
}
