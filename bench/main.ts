import { writeFile } from 'node:fs/promises';
import { defineCommand, runMain } from 'citty';
import { measureBareWrites } from './bare-writes.ts';
import { measureCompaction } from './compaction.ts';
import type { CompactionPlan, Removal } from './compaction.ts';
import { measureDelivery } from './deliver.ts';
import { measureFetches } from './fetch-pages.ts';
import { runLoad } from './http-load.ts';
import { measureOverload } from './overload.ts';
import { seed } from './seed.ts';
import type { Seed } from './seed.ts';
import { readySends } from './send-requests.ts';
import { startBenchServer } from './bench-server.ts';
import type { BenchServer } from './bench-server.ts';

/** The size of each measurement in a quick and in a full run. */
const plans = {
  quick: {
    people: 64,
    conversations: 1_000,
    warmUpSends: 2_000,
    sends: 8_000,
    bareSeconds: 5,
    pages: 1_500,
    deliverySeconds: 5,
    overload: { peakSends: 6_000, seconds: 5 },
    compaction: { expiredRows: 1_000_000, unexpiredRows: 200_000 },
  },
  full: {
    people: 64,
    conversations: 1_000,
    warmUpSends: 5_000,
    sends: 40_000,
    bareSeconds: 20,
    pages: 8_000,
    deliverySeconds: 20,
    overload: { peakSends: 20_000, seconds: 10 },
    compaction: { expiredRows: 1_000_000, unexpiredRows: 200_000, deletedRows: 1_000_000 },
  },
} as const;

type Plan = Omit<(typeof plans)[keyof typeof plans], 'compaction'> & { readonly compaction: CompactionPlan };

const sendConnections = 64;
const parts = ['throughput', 'overload', 'compaction'] as const;
type Part = (typeof parts)[number];

const command = defineCommand({
  meta: {
    name: 'bench',
    description: 'Measures sends, fetches and event delivery, and the rate of the same write without the service.',
  },
  args: {
    json: { type: 'string', description: 'File for the figures, as JSON.' },
    only: { type: 'string', description: `Measure only one of: ${parts.join(', ')}.` },
    quick: { type: 'boolean', description: 'Smaller measurements, and compaction only with --only; under a minute.' },
    expired: { type: 'string', description: 'How many expired messages are compacted; default 1,000,000.' },
  },
  async run({ args }) {
    const only = parts.find((part) => part === args.only);
    if (args.only !== undefined && only === undefined) {
      console.error(`--only takes one of: ${parts.join(', ')}.`);
      process.exitCode = 1;
      return;
    }
    const plan = args.quick ? plans.quick : plans.full;
    const defaults: readonly Part[] = args.quick ? ['throughput', 'overload'] : parts;
    const expiredRows = args.expired === undefined ? plan.compaction.expiredRows : Number(args.expired);
    const compaction = { ...plan.compaction, expiredRows };
    const figures = await measure({ ...plan, compaction }, only === undefined ? defaults : [only]);
    for (const [name, value] of Object.entries(figures)) console.info(`${name.padEnd(28)} ${value}`);
    if (args.json !== undefined) await writeFile(args.json, `${JSON.stringify(figures, null, 2)}\n`);
  },
});

type Figures = Record<string, number | string>;

async function measure(plan: Plan, selected: readonly Part[]): Promise<Figures> {
  progress('starting Postgres and the server');
  const server = await startBenchServer();
  try {
    progress(`making ${plan.conversations} conversations`);
    const seeded = await seed(server, plan);
    progress('warming up');
    const warmUp = readySends(seeded, plan.warmUpSends).map(({ request }) => request);
    await runLoad(server.serverPort, sendConnections, warmUp);
    return {
      ...(selected.includes('throughput') ? await throughputFigures(server, seeded, plan) : {}),
      ...(selected.includes('overload') ? await overloadFigures(server, seeded, plan) : {}),
      ...(selected.includes('compaction') ? await compactionFigures(server, seeded, plan) : {}),
    };
  } finally {
    await server.close();
  }
}

async function throughputFigures(server: BenchServer, seeded: Seed, plan: Plan): Promise<Figures> {
  progress('signing tokens');
  const sends = readySends(seeded, plan.sends).map(({ request }) => request);
  progress('sending');
  const sent = await runLoad(server.serverPort, sendConnections, sends);
  progress('delivering at half that rate');
  const delivered = await measureDelivery(server, seeded, {
    perSecond: sent.perSecond / 2,
    seconds: plan.deliverySeconds,
  });
  progress('fetching');
  const fetched = await measureFetches(server, seeded, plan.pages);
  progress('writing the same rows without the service');
  const bare = await measureBareWrites(server, seeded, plan.bareSeconds);
  return {
    sends_per_second: round(sent.perSecond),
    bare_writes_per_second: round(bare.perSecond),
    bare_writes_by: bare.tool,
    send_ratio: round(sent.perSecond / bare.perSecond),
    send_p50_ms: round(sent.p50Ms),
    send_p99_ms: round(sent.p99Ms),
    fetch_pages_per_second: round(fetched.perSecond),
    deliver_p50_ms: round(delivered.p50Ms),
    deliver_p99_ms: round(delivered.p99Ms),
    deliver_frames: delivered.frames,
  };
}

async function overloadFigures(server: BenchServer, seeded: Seed, plan: Plan): Promise<Figures> {
  progress('sending at three times the peak rate');
  const overload = await measureOverload(server, seeded, plan.overload);
  return {
    overload_peak_per_second: round(overload.peakPerSecond),
    overload_offered_share: round(overload.offeredShare),
    overload_goodput_ratio: round(overload.goodputRatio),
    overload_refused_share: round(overload.refusedShare),
    overload_refusal_p50_ms: round(overload.refusalP50Ms),
    overload_refusal_p99_ms: round(overload.refusalP99Ms),
    overload_recovery_seconds: round(overload.recoverySeconds),
  };
}

async function compactionFigures(server: BenchServer, seeded: Seed, plan: Plan): Promise<Figures> {
  progress(`compacting ${plan.compaction.expiredRows} expired messages`);
  const { compaction, deletion } = await measureCompaction(server, seeded, plan.compaction);
  return { ...removalFigures('compaction', compaction), ...(deletion && removalFigures('deletion', deletion)) };
}

function removalFigures(name: string, removal: Removal): Figures {
  return {
    [`${name}_rows`]: removal.rows,
    [`${name}_seconds`]: round(removal.seconds),
    [`${name}_disk_returned_share`]: round(removal.returnedShare),
    [`${name}_send_p99_ratio`]: round(removal.sendP99Ratio),
  };
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

function progress(step: string): void {
  console.info(process.stdout.isTTY ? `… ${step}` : JSON.stringify({ step }));
}

await runMain(command);
