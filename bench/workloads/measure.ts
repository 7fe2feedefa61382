import { setTimeout as sleep } from 'node:timers/promises';
import { percentiles } from '../load/latencies.ts';
import type { Side } from '../load/side.ts';
import type { BenchServer } from '../server/bench-server.ts';
import { costOfTree } from '../server/process-cost.ts';
import type { ProcessCost } from '../server/process-cost.ts';
import type { Workload } from './workload.ts';

/** The figures of one round. Costs are averages per operation, without what the processes use when they are idle. */
export interface Measurement {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU microseconds per operation of all threads of the server. */
  readonly serverCpuUs: number;
  /** CPU microseconds per operation of all processes of Postgres. */
  readonly postgresCpuUs: number;
  /** CPU microseconds per operation of the load generator. */
  readonly generatorCpuUs: number;
  /** Bytes per operation that Postgres wrote to its write-ahead log. */
  readonly walSizeBytes: number;
  /** Resident memory that one operation added to the server. */
  readonly memoryGrowthSizeBytes: number;
  /** Resident memory of the server after the round. */
  readonly serverMemorySizeBytes: number;
}

const quietCheckMs = 300;
/** An idle Postgres writes less than this in `quietCheckMs`. */
const quietSizeBytes = 32_768;
const quietTimeoutMs = 60_000;

export async function measure(workload: Workload, side: Side): Promise<Measurement> {
  const round = await workload.prepare(side);
  try {
    await untilQuiet(side.server);
    const before = await usageOf(side.server);
    const outcome = await round.run();
    const after = await usageOf(side.server);
    const each = (from: number, to: number): number => (to - from) / outcome.operations;
    return {
      perSecond: outcome.operations / outcome.seconds,
      ...percentiles(outcome.latenciesMs),
      // A server process that started during the round has used no CPU time before.
      serverCpuUs: each(after.pid === before.pid ? before.server.cpuMicroseconds : 0, after.server.cpuMicroseconds),
      postgresCpuUs: each(before.postgres.cpuMicroseconds, after.postgres.cpuMicroseconds),
      generatorCpuUs: each(before.generatorCpuUs, after.generatorCpuUs),
      walSizeBytes: each(before.walSizeBytes, after.walSizeBytes),
      memoryGrowthSizeBytes: each(before.server.memorySizeBytes, after.server.memorySizeBytes),
      serverMemorySizeBytes: after.server.memorySizeBytes,
    };
  } finally {
    round.close?.();
  }
}

/** What the processes have used since they started. */
interface Usage {
  readonly pid: number;
  readonly server: ProcessCost;
  readonly postgres: ProcessCost;
  readonly generatorCpuUs: number;
  readonly walSizeBytes: number;
}

/** Waits until Postgres writes nothing more for earlier work, such as the deferred writes of a large group. */
async function untilQuiet(server: BenchServer): Promise<void> {
  const deadlineMs = performance.now() + quietTimeoutMs;
  for (let written = await walSizeOf(server); performance.now() < deadlineMs;) {
    await sleep(quietCheckMs);
    const now = await walSizeOf(server);
    if (now - written < quietSizeBytes) return;
    written = now;
  }
}

async function walSizeOf({ database }: BenchServer): Promise<number> {
  const rows = await database.sql<{ walSizeBytes: number }[]>`
    SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS "walSizeBytes"`;
  return rows[0]?.walSizeBytes ?? 0;
}

async function usageOf(server: BenchServer): Promise<Usage> {
  const walSizeBytes = await walSizeOf(server);
  const { user, system } = process.cpuUsage();
  return {
    pid: server.pid,
    server: await costOfTree(server.pid),
    postgres: await costOfTree(server.postgresPid),
    generatorCpuUs: user + system,
    walSizeBytes,
  };
}
