import type { Clock } from '../clock.ts';

const sampleEveryMs = 50;

/**
 * Measures about twenty times a second how late a timer fires, because arrived requests wait as long as timers do.
 * `stop` ends the measurement.
 */
export function watchLoopDelay(clock: Clock, onSample: (delayMs: number) => void): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const watching = watch(clock, stopping.signal, onSample);
  return {
    stop() {
      stopping.abort();
      return watching;
    },
  };
}

async function watch(clock: Clock, signal: AbortSignal, onSample: (delayMs: number) => void): Promise<void> {
  while (!signal.aborted) {
    const startedAtMs = clock.monotonicMs();
    await clock.sleep(sampleEveryMs, signal);
    if (!signal.aborted) onSample(Math.max(0, clock.monotonicMs() - startedAtMs - sampleEveryMs));
  }
}
