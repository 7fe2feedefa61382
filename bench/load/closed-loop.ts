import { expectOk, openConnections } from './http-connection.ts';
import type { LoadConnection, LoadResponse } from './http-connection.ts';
import type { Outcome } from './latencies.ts';

/**
 * Sends all `requests`, each connection its next one when the last is answered. A latency is the time from the send to
 * the response.
 * @param check is called with each response; by default it throws for a status other than 200.
 */
export async function runClosedLoop(
  port: number,
  connectionCount: number,
  requests: readonly Buffer[],
  check: (response: LoadResponse) => void = expectOk,
): Promise<Outcome> {
  const connections = await openConnections(port, connectionCount);
  const latenciesMs: number[] = [];
  let next = 0;
  const runConnection = async (connection: LoadConnection): Promise<void> => {
    for (let request = requests[next++]; request !== undefined; request = requests[next++]) {
      const sentMs = performance.now();
      const response = await connection.send(request);
      latenciesMs.push(performance.now() - sentMs);
      check(response);
    }
  };
  const startedMs = performance.now();
  await Promise.all(connections.map(runConnection));
  const seconds = (performance.now() - startedMs) / 1_000;
  connections.forEach((connection) => connection.close());
  return { operations: requests.length, seconds, latenciesMs };
}
