/** When and how often a failed attempt is repeated. */
export interface RetryOptions {
    /** Attempts in all; default 5. */
    readonly attemptsMax?: number;
    /** A longer `Retry-After` is not waited for; the error is thrown instead. Default 60,000. */
    readonly waitMaxMs?: number;
    /** First wait without a `Retry-After`; doubled with each further attempt. Default 250. */
    readonly firstWaitMs?: number;
}
export declare const retryDefaults: Required<RetryOptions>;
/**
 * The wait before attempt number `attempt` (from 2), in milliseconds. Jitter spreads clients: at least the time that the service
 * asked for, and up to a quarter more; without such a time, half to all of an exponential wait.
 */
export declare function waitBeforeAttemptMs(attempt: number, retryAfterSeconds: number | undefined, { firstWaitMs, waitMaxMs }: Required<RetryOptions>): number;
/**
 * Waits for `delayMs`.
 * @throws the reason of `signal` when it is aborted.
 */
export declare function sleep(delayMs: number, signal: AbortSignal | undefined): Promise<void>;
