import { required } from '#platform/errors.ts';
import { runClosedLoop } from '../load/closed-loop.ts';
import { runOpenLoop } from '../load/open-loop.ts';
import { readySends } from '../load/send-requests.ts';
import type { Workload } from './workload.ts';

const connections = 64;

const sends: Workload = {
  name: 'sends',
  title: 'Sends of 1 KiB, 64 in flight, 1,000 conversations',
  unit: 'send',
  async prepare({ server, conversations, plan }) {
    const requests = readySends(conversations, plan.sends).map(({ request }) => request);
    return { run: () => runClosedLoop(server.serverPort, connections, requests) };
  },
};

const sendsHot: Workload = {
  name: 'sends-hot',
  title: 'Sends of 1 KiB, 64 in flight, one conversation',
  unit: 'send',
  async prepare({ server, conversations, plan }) {
    const hot = required(conversations[0], 'a conversation');
    const requests = readySends([hot], plan.sends).map(({ request }) => request);
    return { run: () => runClosedLoop(server.serverPort, connections, requests) };
  },
};

/** Sends at a fixed rate without listeners. */
function sendsAt(perSecond: number): Workload {
  return {
    name: `sends-${perSecond}`,
    title: `Sends of 1 KiB at ${perSecond}/s, open loop`,
    unit: 'send',
    async prepare({ server, conversations, plan }) {
      const requests = readySends(conversations, perSecond * plan.seconds).map(({ request }) => request);
      return { run: () => runOpenLoop(server.serverPort, perSecond, requests) };
    },
  };
}

export const sendWorkloads = [sends, sendsHot, sendsAt(250), sendsAt(500)];
