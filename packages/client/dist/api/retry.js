export const retryDefaults = { attemptsMax: 5, waitMaxMs: 60_000, firstWaitMs: 250 };
/**
 * The wait before attempt number `attempt` (from 2), in milliseconds. Jitter spreads clients: at least the time that the service
 * asked for, and up to a quarter more; without such a time, half to all of an exponential wait.
 */
export function waitBeforeAttemptMs(attempt, retryAfterSeconds, { firstWaitMs, waitMaxMs }) {
    if (retryAfterSeconds !== undefined)
        return retryAfterSeconds * 1_000 * (1 + Math.random() / 4);
    return Math.min(waitMaxMs, firstWaitMs * 2 ** (attempt - 2)) * (0.5 + Math.random() / 2);
}
/**
 * Waits for `delayMs`.
 * @throws the reason of `signal` when it is aborted.
 */
export function sleep(delayMs, signal) {
    return new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
            reject(signal.reason);
            return;
        }
        const onAbort = () => {
            clearTimeout(timer);
            reject(signal?.reason);
        };
        const timer = setTimeout(() => {
            signal?.removeEventListener('abort', onAbort);
            resolve();
        }, delayMs);
        signal?.addEventListener('abort', onAbort, { once: true });
    });
}
