import { currentRequest, runForRequests, runOutsideRequest, waitForDatabase } from './request-deadline.ts';
import type { RequestDeadline } from './request-deadline.ts';

const callsPerBatchMax = 1_000;

/**
 * Creates a function that batches calls: one batch runs at a time, and calls made meanwhile go into the next batch.
 * Waiting counts as waiting for the database; calls of abandoned requests are dropped from the batch. `runBatch`
 * returns one result per call, in the order of the calls; when it throws, every call of the batch gets the error.
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
    return waitForDatabase(
      () =>
        new Promise((resolve, reject) => {
          waiting.push({ call, resolve, reject, request });
          if (!isRunning) runOutsideRequest(() => void drain());
        }),
    );
  };
}
