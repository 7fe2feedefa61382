import type { Clock } from '../clock.ts';

/**
 * Stops one part of the process during a shutdown. `signal` aborts when the time of the step is over, and the shutdown
 * then continues with the next step.
 */
export interface StopStep {
  readonly name: string;
  run(signal: AbortSignal): Promise<unknown>;
}

export interface StopOptions {
  readonly clock: Clock;
  /** The time for all steps together, in milliseconds. */
  readonly timeoutMs: number;
  readonly onFailure: (step: string, error: unknown) => void;
}

/** The minimum time of each step, so that the database is closed even when earlier steps have used up all the time. */
const stepTimeoutMsMin = 500;

/** The error of a step that did not end in time. */
class StopTimeoutError extends Error {
  override readonly name = 'StopTimeoutError';
}

/**
 * Runs the steps one after the other, and continues after a step that fails or times out. The steps take at most
 * `timeoutMs` together, plus half a second for each step that begins after this time.
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
