import { sleep, withSignal } from '../api/abort.ts';
import { ApiError, isTransient } from '../api/api-error.ts';
import { JoinPendingError, LostGroupError, TooManyEpochRacesError } from './conversation-error.ts';

/** Repeats tasks in the background until they succeed. */
export interface Retrier {
  /** Runs `task` after `firstWaitMs`. A task whose name waits or runs already is run once more after that. */
  start(name: string, task: () => Promise<unknown>, firstWaitMs?: number): void;
  /** Runs `task`, and `start`s it if an error shows that it may succeed later. @throws other errors. */
  nowOrLater(name: string, task: () => Promise<unknown>): Promise<void>;
  /** Ends the present waits, because the network is back. */
  wake(): void;
}

const firstWaitDefaultMs = 500;
const waitMaxMs = 60_000;

/** @param deps.onError gets errors that a repetition cannot help with. */
export function createRetrier(deps: {
  readonly signal: AbortSignal;
  readonly onError: (error: unknown) => void;
}): Retrier {
  const { signal, onError } = deps;
  /** Tasks that wait or run; true: once more. */
  const running = new Map<string, boolean>();
  let waking = new AbortController();

  async function run(name: string, task: () => Promise<unknown>, firstWaitMs: number): Promise<void> {
    let failures = 0;
    for (let waitMs = firstWaitMs; ;) {
      await waitUnlessWoken(waitMs, [signal, waking.signal]);
      if (signal.aborted) break;
      running.set(name, false);
      try {
        await task();
      } catch (error) {
        if (isRetryable(error)) {
          failures += 1;
          waitMs = waitAfterFailureMs(failures, error);
          continue;
        }
        onError(error);
      }
      // A call of `start` after this check starts the task anew.
      if (running.get(name) !== true) break;
      failures = 0;
      waitMs = 0;
    }
    running.delete(name);
  }

  function start(name: string, task: () => Promise<unknown>, firstWaitMs = firstWaitDefaultMs): void {
    const isRunning = running.has(name);
    running.set(name, isRunning);
    if (!isRunning) void run(name, task, firstWaitMs);
  }

  return {
    start,
    async nowOrLater(name, task) {
      try {
        await task();
      } catch (error) {
        if (!isRetryable(error)) throw error;
        start(name, task);
      }
    },
    wake() {
      waking.abort();
      waking = new AbortController();
    },
  };
}

/** Whether the same task may succeed later. */
export function isRetryable(error: unknown): boolean {
  return (
    isTransient(error) ||
    error instanceof JoinPendingError ||
    error instanceof LostGroupError ||
    error instanceof TooManyEpochRacesError
  );
}

function waitAfterFailureMs(failures: number, error: unknown): number {
  const ownMs = Math.min(waitMaxMs, firstWaitDefaultMs * 2 ** (failures - 1));
  const askedMs = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) * 1_000 : 0;
  return Math.max(ownMs, askedMs) * (1 + Math.random() / 4);
}

async function waitUnlessWoken(waitMs: number, signals: readonly AbortSignal[]): Promise<void> {
  try {
    await withSignal(signals, undefined, (signal) => sleep(waitMs, signal));
  } catch {
    // Woken or closed; the caller checks which.
  }
}
