/** How long an operation may take, and what ends it. */
export interface OperationOptions {
  /** Ends the operation; it then rejects with the reason of the signal. */
  readonly signal?: AbortSignal | undefined;
  /** Time for the whole operation, in milliseconds; it then rejects with a `DOMException` named `TimeoutError`. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Runs `task` with a signal that is aborted with any of `signals`, or after `timeoutMs`. Timer and listeners last as long as the task:
 * `AbortSignal.any` would keep an entry in a signal that lives long.
 */
export async function withSignal<Result>(
  signals: readonly (AbortSignal | undefined)[],
  timeoutMs: number | undefined,
  task: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  const given = signals.filter((signal) => signal !== undefined);
  const onAbort = (): void => {
    const aborted = given.find((signal) => signal.aborted);
    if (aborted !== undefined) controller.abort(aborted.reason);
  };
  onAbort();
  for (const signal of given) signal.addEventListener('abort', onAbort);
  const onTimeout = (): void => controller.abort(new DOMException(`${timeoutMs} ms are over`, 'TimeoutError'));
  const timer = timeoutMs === undefined ? undefined : setTimeout(onTimeout, timeoutMs);
  try {
    return await task(controller.signal);
  } finally {
    clearTimeout(timer);
    for (const signal of given) signal.removeEventListener('abort', onAbort);
  }
}

/**
 * The result of `promise`, unless `signal` is aborted first.
 * @throws what `promise` throws, or the reason of `signal`.
 */
export async function unlessAborted<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  const waiting = new AbortController();
  const aborted = new Promise<never>((_resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true, signal: waiting.signal });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    waiting.abort();
  }
}

/**
 * Waits for `delayMs`.
 * @throws the reason of `signal` when it is aborted.
 */
export function sleep(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, delayMs);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
