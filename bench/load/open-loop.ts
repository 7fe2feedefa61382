import { expectOk, openConnection, openConnections } from './http-connection.ts';
import type { LoadConnection } from './http-connection.ts';
import type { Outcome } from './latencies.ts';

const connectionsMax = 64;

/**
 * Sends `requests` at a fixed rate, whether or not earlier ones are answered. A latency is the time from when a request
 * was due to its response, so that a slow server does not hide the requests that wait for a connection.
 * @param onDue is called with the index of a request and the time when it is due, before it is sent.
 */
export async function runOpenLoop(
  port: number,
  perSecond: number,
  requests: readonly Buffer[],
  onDue?: (index: number, dueMs: number) => void,
): Promise<Outcome> {
  const idle = await openConnections(port, connectionsMax);
  const all = new Set(idle);
  const latenciesMs: number[] = [];
  const waiting: { readonly request: Buffer; readonly dueMs: number }[] = [];
  const finished = Promise.withResolvers<void>();
  const startedMs = performance.now();

  async function sendFrom(connection: LoadConnection): Promise<void> {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      expectOk(await connection.send(next.request));
      latenciesMs.push(performance.now() - next.dueMs);
    }
    idle.push(connection);
    if (latenciesMs.length === requests.length) finished.resolve();
  }

  /** Sends what waits over the connection that is idle longest, so that the server closes none as idle. */
  async function sendWaiting(): Promise<void> {
    let connection = idle.shift();
    while (connection?.isClosed === true) {
      all.delete(connection);
      connection = idle.shift();
    }
    if (connection === undefined && all.size < connectionsMax) {
      connection = await openConnection(port);
      all.add(connection);
    }
    if (connection !== undefined) await sendFrom(connection);
  }

  let due = 0;
  const sendDue = (): void => {
    for (let dueMs = dueAt(due); due < requests.length && dueMs <= performance.now(); dueMs = dueAt(due)) {
      const request = requests[due];
      if (request === undefined) break;
      onDue?.(due, dueMs);
      due += 1;
      waiting.push({ request, dueMs });
      sendWaiting().catch(finished.reject);
    }
    if (due < requests.length) setTimeout(sendDue, Math.max(0, dueAt(due) - performance.now()));
  };
  const dueAt = (index: number): number => startedMs + (index / perSecond) * 1_000;

  sendDue();
  await finished.promise;
  const seconds = (performance.now() - startedMs) / 1_000;
  all.forEach((connection) => connection.close());
  return { operations: requests.length, seconds, latenciesMs };
}
