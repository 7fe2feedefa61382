import type { Clock } from '../clock.ts';

const sampleEveryMs = 50;

/**
 * Tells how late a timer fires, some twenty times a second: that long everything that arrives waits for this thread.
 * `stop` ends it.
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
    const askedAtMs = clock.monotonicMs();
    await clock.sleep(sampleEveryMs, signal);
    if (!signal.aborted) onSample(Math.max(0, clock.monotonicMs() - askedAtMs - sampleEveryMs));
  }
}
