import { bareBroadcast } from '../references/bare-broadcast.ts';
import { bareSignatures } from '../references/bare-signatures.ts';
import { bareReads, bareWrites } from '../references/bare-statements.ts';
import { keyPackageWorkloads } from './key-packages.ts';
import { liveWorkloads } from './live.ts';
import { memberWorkloads } from './members.ts';
import { pageWorkloads } from './pages.ts';
import { processWorkloads } from './process.ts';
import { sendWorkloads } from './sends.ts';
import { streamWorkloads } from './streams.ts';
import type { Workload } from './workload.ts';

/** Every workload that is measured in rounds, in the order of the report. */
export const workloads: readonly Workload[] = [
  ...sendWorkloads,
  bareWrites,
  ...pageWorkloads,
  bareReads,
  ...liveWorkloads,
  ...memberWorkloads,
  ...keyPackageWorkloads,
  bareSignatures,
  ...streamWorkloads,
  bareBroadcast,
  ...processWorkloads,
];
