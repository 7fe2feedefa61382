/** When and how often a failed attempt is repeated. */
export interface RetryOptions {
  /** Attempts in all; default 5. */
  readonly attemptsMax?: number;
  /** A longer `Retry-After` is not waited for; the error is thrown instead. Default 60,000. */
  readonly waitMaxMs?: number;
  /** First wait without a `Retry-After`; doubled with each further attempt. Default 250. */
  readonly firstWaitMs?: number;
}

export const retryDefaults: Required<RetryOptions> = { attemptsMax: 5, waitMaxMs: 60_000, firstWaitMs: 250 };

/**
 * The wait before attempt number `attempt` (from 2), in milliseconds. Jitter spreads clients: at least the time that the service
 * asked for, and up to a quarter more; without such a time, half to all of an exponential wait.
 */
export function waitBeforeAttemptMs(
  attempt: number,
  retryAfterSeconds: number | undefined,
  { firstWaitMs, waitMaxMs }: Required<RetryOptions>,
): number {
  if (retryAfterSeconds !== undefined) return retryAfterSeconds * 1_000 * (1 + Math.random() / 4);
  return Math.min(waitMaxMs, firstWaitMs * 2 ** (attempt - 2)) * (0.5 + Math.random() / 2);
}
