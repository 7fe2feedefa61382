import { required } from '#platform/errors.ts';
import { expectOk, openConnection, percentiles } from './http-load.ts';
import type { LoadConnection } from './http-load.ts';
import type { Seed } from './seed.ts';
import { readySends } from './send-requests.ts';
import type { BenchServer } from './bench-server.ts';

/** How the server does when three times as much comes as it can do. */
export interface Overload {
  readonly peakPerSecond: number;
  /** Of three times the peak, what the load generator managed to send. */
  readonly offeredShare: number;
  /** Answers with 200 over those at the peak, the better of two measurements. */
  readonly goodputRatio: number;
  readonly refusedShare: number;
  readonly refusalP50Ms: number;
  readonly refusalP99Ms: number;
  /** Until everything is answered with 200 within `calmMs` again, for a whole slot. */
  readonly recoverySeconds: number;
}

export interface OverloadPlan {
  readonly peakSends: number;
  readonly seconds: number;
}

const peakConnections = [64, 192] as const;
/** More than the server has places for, so that refusals are the only limit. */
const overloadConnections = 1_024;
const factor = 3;
const rampMs = 1_000;
const calmMs = 100;
const slotMs = 500;
const recoverySeconds = 12;
const tickMs = 5;
const refusedStatus = 503;

interface Answered {
  readonly sentMs: number;
  readonly tookMs: number;
  readonly isRefused: boolean;
}

/**
 * Sends at the server's peak, then for some seconds at three times that rate whatever comes back, then at half of it. The peak is
 * measured again at the end, since other programs on the machine may have slowed the first.
 */
export async function measureOverload(stage: BenchServer, seed: Seed, plan: OverloadPlan): Promise<Overload> {
  const peakBefore = await measurePeak(stage, seed, plan);
  const connections = await openConnections(stage, overloadConnections);
  // A refused request has spent nothing, so it goes back on the pile.
  const pile = requestsOf(seed, peakBefore * (plan.seconds + 1) * 1.5 + overloadConnections);
  const rest = requestsOf(seed, (peakBefore / 2) * recoverySeconds);
  const offeredPerSecond = peakBefore * factor;
  const startedMs = performance.now();
  const during = await sendPaced(connections, pile, { perSecond: offeredPerSecond, seconds: plan.seconds });
  const endedMs = performance.now();
  const after = await sendPaced(connections, rest, { perSecond: peakBefore / 2, seconds: recoverySeconds });
  connections.forEach((connection) => connection.close());
  const peakPerSecond = Math.max(peakBefore, await measurePeak(stage, seed, plan));
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
    recoverySeconds: secondsUntilCalm(after, endedMs),
  };
}

/** The better rate of those, since more at once makes better use of a group commit. */
async function measurePeak(stage: BenchServer, seed: Seed, plan: OverloadPlan): Promise<number> {
  const rates: number[] = [];
  for (const count of peakConnections) rates.push(await goodRate(stage, count, requestsOf(seed, plan.peakSends)));
  return Math.max(...rates);
}

/** Answers with 200 per second with so many requests in flight; on a busy machine even these may be too many at times. */
async function goodRate(stage: BenchServer, connectionCount: number, pile: Buffer[]): Promise<number> {
  const connections = await openConnections(stage, connectionCount);
  const startedMs = performance.now();
  let good = 0;
  await Promise.all(
    connections.map(async (connection) => {
      for (let request = pile.pop(); request !== undefined; request = pile.pop()) {
        const answer = await connection.send(request);
        if (answer.status !== refusedStatus) expectOk(answer);
        good += Number(answer.status !== refusedStatus);
      }
    }),
  );
  connections.forEach((connection) => connection.close());
  return (good * 1_000) / (performance.now() - startedMs);
}

function openConnections(stage: BenchServer, count: number): Promise<LoadConnection[]> {
  return Promise.all(Array.from({ length: count }, () => openConnection(stage.serverPort)));
}

function requestsOf(seed: Seed, count: number): Buffer[] {
  return readySends(seed, Math.ceil(count)).map(({ request }) => request);
}

/** Sends at a fixed rate however late the answers are, as long as a connection is free. */
async function sendPaced(
  connections: readonly LoadConnection[],
  pile: Buffer[],
  pace: { perSecond: number; seconds: number },
): Promise<Answered[]> {
  const idle = [...connections];
  const running = new Set<Promise<void>>();
  const answered: Answered[] = [];
  const startedMs = performance.now();
  let sent = 0;
  const send = async (connection: LoadConnection, request: Buffer): Promise<void> => {
    const sentMs = performance.now();
    const answer = await connection.send(request);
    const isRefused = answer.status === refusedStatus;
    if (isRefused) pile.push(request);
    else expectOk(answer);
    answered.push({ sentMs, tookMs: performance.now() - sentMs, isRefused });
    idle.push(connection);
  };
  for (let nowMs = startedMs; nowMs < startedMs + pace.seconds * 1_000; nowMs = performance.now()) {
    const due = Math.ceil(((nowMs - startedMs) / 1_000) * pace.perSecond);
    // What could not be sent in time is not sent later in a burst.
    const count = Math.min(due - sent, idle.length, pile.length);
    for (const request of pile.splice(-count, count)) {
      const connection = required(idle.pop(), 'an idle connection');
      const exchange = send(connection, request).finally(() => running.delete(exchange));
      running.add(exchange);
    }
    sent = due;
    await new Promise((resolve) => setTimeout(resolve, tickMs));
  }
  await Promise.all(running);
  return answered;
}

function secondsUntilCalm(answers: readonly Answered[], fromMs: number): number {
  for (let slot = 0; slot < (recoverySeconds * 1_000) / slotMs; slot++) {
    const startMs = fromMs + slot * slotMs;
    const within = answers.filter(({ sentMs }) => sentMs >= startMs && sentMs < startMs + slotMs);
    const isCalm = within.every(({ isRefused, tookMs }) => !isRefused && tookMs <= calmMs);
    if (within.length > 0 && isCalm) return (slot * slotMs) / 1_000;
  }
  return recoverySeconds;
}
