import { runOutsideRequest } from './request-context.ts';
import type { RequestDeadline } from './request-context.ts';
import { currentRequest, runForRequests, waitForDatabase } from './request-deadline.ts';

const callsPerBatchMax = 1_000;

/**
 * Creates a function that collects concurrent calls into batches of up to 1,000, and runs one batch at a time.
 * `runBatch` must return one result for each call, in the order of the calls; when it throws, every call of the batch
 * rejects with that error.
 */
export function createBatcher<Call, Result>(
  runBatch: (calls: readonly Call[]) => Promise<readonly Result[]>,
): (call: Call) => Promise<Result | undefined> {
  interface Waiting {
    readonly call: Call;
    readonly resolve: (resolve: Result | undefined) => void;
    readonly reject: (error: unknown) => void;
    readonly request: RequestDeadline | undefined;
  }
  const waiting: Waiting[] = [];
  let isRunning = false;

  async function drain(): Promise<void> {
    isRunning = true;
    while (waiting.length > 0) {
      // The calls of expired requests are dropped, because the requests have already been refused.
      const batch = waiting.splice(0, callsPerBatchMax).filter(({ request }) => request?.isExpired !== true);
      if (batch.length === 0) continue;
      try {
        const results = await runForRequests(
          batch.map(({ request }) => request),
          () => runBatch(batch.map(({ call }) => call)),
        );
        for (const [index, { resolve }] of batch.entries()) resolve(results[index]);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    isRunning = false;
  }

  return (call) => {
    const request = currentRequest();
    // The time until a call's batch has run counts towards the database timeout of its request.
    return waitForDatabase(
      () =>
        new Promise((resolve, reject) => {
          waiting.push({ call, resolve, reject, request });
          if (!isRunning) runOutsideRequest(() => void drain());
        }),
    );
  };
}
