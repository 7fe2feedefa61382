import { runClosedLoop } from '../load/closed-loop.ts';
import { openEventSocket } from '../load/event-socket.ts';
import type { Outcome } from '../load/latencies.ts';
import { runOpenLoop } from '../load/open-loop.ts';
import { readySends } from '../load/send-requests.ts';
import type { ReadySend } from '../load/send-requests.ts';
import type { Side } from '../load/side.ts';
import type { Workload } from './workload.ts';

const listenersMax = 16;
const peakConnections = 64;
const lastFramesWaitMs = 500;

/**
 * Sends at a fixed rate while 16 of 64 people listen. A latency is the time from when a send was due to the arrival of
 * its frame at a listener; the operations are the sends.
 */
function liveAt(rate: number | 'half-peak'): Workload {
  return {
    name: `live-${rate}`,
    title: `Sends at ${rate === 'half-peak' ? 'half of the peak rate' : `${rate}/s`} with 16 listeners: from due to received`,
    unit: 'send',
    async prepare(side) {
      const perSecond = rate === 'half-peak' ? Math.round((await peakOf(side)) / 2) : rate;
      const sends = readySends(side.conversations, perSecond * side.plan.seconds);
      const dueMs = new Map<string, number>();
      const latenciesMs: number[] = [];
      const sockets = await Promise.all(
        side.people.slice(0, listenersMax).map((person) =>
          openEventSocket(side.server, person, {
            onMessage(msgId) {
              const due = dueMs.get(msgId);
              if (due !== undefined) latenciesMs.push(performance.now() - due);
            },
          }),
        ),
      );
      return {
        run: () => deliver(side, perSecond, { sends, dueMs, latenciesMs }),
        close: () => sockets.forEach((socket) => socket.close()),
      };
    },
  };
}

async function deliver(
  { server }: Side,
  perSecond: number,
  { sends, dueMs, latenciesMs }: { sends: readonly ReadySend[]; dueMs: Map<string, number>; latenciesMs: number[] },
): Promise<Outcome> {
  const requests = sends.map(({ request }) => request);
  const outcome = await runOpenLoop(server.serverPort, perSecond, requests, (index, due) => {
    const send = sends[index];
    if (send !== undefined) dueMs.set(send.msgId, due);
  });
  await new Promise((resolve) => setTimeout(resolve, lastFramesWaitMs));
  return { ...outcome, latenciesMs };
}

/** Returns the rate of sends with 64 in flight, measured once per server. */
function peakOf(side: Side): Promise<number> {
  return side.once('peak', async () => {
    const requests = readySends(side.conversations, side.plan.sends).map(({ request }) => request);
    const { operations, seconds } = await runClosedLoop(side.server.serverPort, peakConnections, requests);
    return operations / seconds;
  });
}

export const liveWorkloads = [liveAt(100), liveAt(250), liveAt(500), liveAt('half-peak')];
