import type { Clock } from '../clock.ts';

/** One thing to stop. `signal` aborts when the step's time is over; a step that goes on regardless is left behind. */
export interface StopStep {
  readonly name: string;
  run(signal: AbortSignal): Promise<unknown>;
}

export interface StopOptions {
  readonly clock: Clock;
  /** For all steps together. */
  readonly timeoutMs: number;
  readonly onFailure: (step: string, error: unknown) => void;
}

/** What every step gets even when those before it used up all the time, so that storage is still closed. */
const stepTimeoutMsMin = 500;

/** A step did not end in time. */
class StopTimeoutError extends Error {
  override readonly name = 'StopTimeoutError';
}

/**
 * Runs the steps one after the other; a step that fails or takes too long does not keep the later ones from running.
 * Takes at most `timeoutMs`, and half a second more for each step that begins after that.
 * @returns `clean` when every step ended well and in time.
 */
export async function stopInOrder(steps: readonly StopStep[], options: StopOptions): Promise<'clean' | 'unclean'> {
  const { clock } = options;
  const deadlineMs = clock.monotonicMs() + options.timeoutMs;
  let result: 'clean' | 'unclean' = 'clean';
  for (const step of steps) {
    try {
      await runWithin(step, Math.max(stepTimeoutMsMin, deadlineMs - clock.monotonicMs()), clock);
    } catch (error) {
      result = 'unclean';
      options.onFailure(step.name, error);
    }
  }
  return result;
}

async function runWithin(step: StopStep, timeoutMs: number, clock: Clock): Promise<void> {
  const overdue = new AbortController();
  const ended = new AbortController();
  const timer = clock.sleep(timeoutMs, ended.signal).then(() => {
    if (ended.signal.aborted) return;
    overdue.abort();
    throw new StopTimeoutError('a stop step took too long');
  });
  try {
    await Promise.race([step.run(overdue.signal), timer]);
  } finally {
    ended.abort();
  }
}
