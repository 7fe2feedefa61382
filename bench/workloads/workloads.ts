import { bareReads, bareWrites } from '../references/bare-statements.ts';
import { liveWorkloads } from './live.ts';
import { pageWorkloads } from './pages.ts';
import { sendWorkloads } from './sends.ts';
import type { Workload } from './workload.ts';

/** Every workload that is measured in rounds, in the order of the report. */
export const workloads: readonly Workload[] = [
  ...sendWorkloads,
  bareWrites,
  ...pageWorkloads,
  bareReads,
  ...liveWorkloads,
];
