import type { Clock } from '../clock.ts';

/** One step of a shutdown. `signal` aborts when the time of the step is over; a step that continues is not awaited. */
export interface StopStep {
  readonly name: string;
  run(signal: AbortSignal): Promise<unknown>;
}

export interface StopOptions {
  readonly clock: Clock;
  /** The time for all steps together. */
  readonly timeoutMs: number;
  readonly onFailure: (step: string, error: unknown) => void;
}

/** The minimum time of every step, so that storage is closed even when earlier steps used up all the time. */
const stepTimeoutMsMin = 500;

/** A step did not end in time. */
class StopTimeoutError extends Error {
  override readonly name = 'StopTimeoutError';
}

/**
 * Runs the steps in order; a step that fails or times out does not prevent later ones. Takes at most `timeoutMs`, and
 * half a second more for each step that begins after that.
 * @returns `clean` when every step succeeded in time.
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
