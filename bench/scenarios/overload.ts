import { required } from '#platform/errors.ts';
import { expectOk, openConnections } from '../load/http-connection.ts';
import { percentiles } from '../load/latencies.ts';
import type { LoadConnection } from '../load/http-connection.ts';
import type { SeededConversation } from '../load/conversations.ts';
import { readySends } from '../load/send-requests.ts';
import type { BenchServer } from '../server/bench-server.ts';

/** Describes how the server behaves at three times its peak rate. */
export interface Overload {
  readonly peakPerSecond: number;
  /** The share of three times the peak that the load generator could send. */
  readonly offeredShare: number;
  /** The rate of 200 responses divided by the better of two peak measurements. */
  readonly goodputRatio: number;
  readonly refusedShare: number;
  readonly refusalP50Ms: number;
  readonly refusalP99Ms: number;
  /** Seconds after the overload until all responses of one slot of 500 ms are 200 and take at most 100 ms. */
  readonly recoverySeconds: number;
}

export interface OverloadPlan {
  readonly peakSends: number;
  readonly seconds: number;
}

const peakConnections = [64, 192] as const;
/** More connections than the server's admission limit, so that only refusals limit the load. */
const overloadConnections = 1_024;
const factor = 3;
const rampMs = 1_000;
const recoveredMs = 100;
const slotMs = 500;
const recoverySeconds = 12;
const tickMs = 5;
const refusedStatus = 503;

interface ResponseTime {
  readonly sentMs: number;
  readonly tookMs: number;
  readonly isRefused: boolean;
}

/**
 * Sends at the server's peak rate, then for some seconds at three times that rate regardless of responses, then at half
 * of it. The peak is measured again at the end, because other programs may have slowed the first measurement.
 */
export async function measureOverload(
  server: BenchServer,
  conversations: readonly SeededConversation[],
  plan: OverloadPlan,
): Promise<Overload> {
  const peakBefore = await measurePeak(server, conversations, plan);
  const connections = await openConnections(server.serverPort, overloadConnections);
  // A refused request has consumed neither token nor message id, so it can be sent again.
  const requests = requestsOf(conversations, peakBefore * (plan.seconds + 1) * 1.5 + overloadConnections);
  const rest = requestsOf(conversations, (peakBefore / 2) * recoverySeconds);
  const offeredPerSecond = peakBefore * factor;
  const startedMs = performance.now();
  const during = await sendPaced(connections, requests, { perSecond: offeredPerSecond, seconds: plan.seconds });
  const endedMs = performance.now();
  const after = await sendPaced(connections, rest, { perSecond: peakBefore / 2, seconds: recoverySeconds });
  connections.forEach((connection) => connection.close());
  const peakPerSecond = Math.max(peakBefore, await measurePeak(server, conversations, plan));
  const steady = during.filter(({ sentMs }) => sentMs >= startedMs + rampMs);
  const steadySeconds = plan.seconds - rampMs / 1_000;
  const refused = during.filter(({ isRefused }) => isRefused);
  const refusals = percentiles(refused.map(({ tookMs }) => tookMs));
  return {
    peakPerSecond,
    offeredShare: steady.length / steadySeconds / (peakPerSecond * factor),
    goodputRatio: steady.filter(({ isRefused }) => !isRefused).length / steadySeconds / peakPerSecond,
    refusedShare: refused.length / during.length,
    refusalP50Ms: refusals.p50Ms,
    refusalP99Ms: refusals.p99Ms,
    recoverySeconds: secondsUntilRecovery(after, endedMs),
  };
}

/**
 * Returns the best rate of several connection counts, because Postgres commits more transactions at once when more
 * requests are concurrent.
 */
async function measurePeak(
  server: BenchServer,
  conversations: readonly SeededConversation[],
  plan: OverloadPlan,
): Promise<number> {
  const rates: number[] = [];
  for (const count of peakConnections)
    rates.push(await successRate(server, count, requestsOf(conversations, plan.peakSends)));
  return Math.max(...rates);
}

/**
 * Returns the rate of 200 responses on `connectionCount` connections. Refusals are ignored, because a server on a busy
 * machine may refuse some of these requests too.
 */
async function successRate(server: BenchServer, connectionCount: number, requests: Buffer[]): Promise<number> {
  const connections = await openConnections(server.serverPort, connectionCount);
  const startedMs = performance.now();
  let succeeded = 0;
  await Promise.all(
    connections.map(async (connection) => {
      for (let request = requests.pop(); request !== undefined; request = requests.pop()) {
        const response = await connection.send(request);
        if (response.status !== refusedStatus) expectOk(response);
        succeeded += Number(response.status !== refusedStatus);
      }
    }),
  );
  connections.forEach((connection) => connection.close());
  return (succeeded * 1_000) / (performance.now() - startedMs);
}

function requestsOf(conversations: readonly SeededConversation[], count: number): Buffer[] {
  return readySends(conversations, Math.ceil(count)).map(({ request }) => request);
}

/** Sends at a fixed rate regardless of response times, as long as a connection is idle. */
async function sendPaced(
  connections: readonly LoadConnection[],
  requests: Buffer[],
  pace: { perSecond: number; seconds: number },
): Promise<ResponseTime[]> {
  const idle = [...connections];
  const running = new Set<Promise<void>>();
  const responses: ResponseTime[] = [];
  const startedMs = performance.now();
  let sent = 0;
  const send = async (connection: LoadConnection, request: Buffer): Promise<void> => {
    const sentMs = performance.now();
    const response = await connection.send(request);
    const isRefused = response.status === refusedStatus;
    if (isRefused) requests.push(request);
    else expectOk(response);
    responses.push({ sentMs, tookMs: performance.now() - sentMs, isRefused });
    idle.push(connection);
  };
  for (let nowMs = startedMs; nowMs < startedMs + pace.seconds * 1_000; nowMs = performance.now()) {
    const due = Math.ceil(((nowMs - startedMs) / 1_000) * pace.perSecond);
    // Requests that were not sent in time are skipped, so that they do not form a burst later.
    const count = Math.min(due - sent, idle.length, requests.length);
    for (const request of requests.splice(-count, count)) {
      const connection = required(idle.pop(), 'an idle connection');
      const exchange = send(connection, request).finally(() => running.delete(exchange));
      running.add(exchange);
    }
    sent = due;
    await new Promise((resolve) => setTimeout(resolve, tickMs));
  }
  await Promise.all(running);
  return responses;
}

function secondsUntilRecovery(responses: readonly ResponseTime[], fromMs: number): number {
  for (let slot = 0; slot < (recoverySeconds * 1_000) / slotMs; slot++) {
    const startMs = fromMs + slot * slotMs;
    const within = responses.filter(({ sentMs }) => sentMs >= startMs && sentMs < startMs + slotMs);
    const hasRecovered = within.every(({ isRefused, tookMs }) => !isRefused && tookMs <= recoveredMs);
    if (within.length > 0 && hasRecovered) return (slot * slotMs) / 1_000;
  }
  return recoverySeconds;
}
