import { setTimeout as sleep } from 'node:timers/promises';
import type { Workload } from './workload.ts';

const startUp: Workload = {
  name: 'start-up',
  title: 'Start of the server on an existing database until it is ready',
  unit: 'start',
  async prepare({ server }) {
    return {
      async run() {
        const seconds = await server.restart();
        return { operations: 1, seconds, latenciesMs: [seconds * 1_000] };
      },
    };
  },
};

const idle: Workload = {
  name: 'idle',
  title: 'A server without requests',
  unit: 'second',
  async prepare({ plan }) {
    return {
      async run() {
        await sleep(plan.seconds * 1_000);
        return { operations: plan.seconds, seconds: plan.seconds, latenciesMs: [] };
      },
    };
  },
};

/** The last workloads of a run, because a new server process has empty caches. */
export const processWorkloads = [startUp, idle];
