import { writeFile } from 'node:fs/promises';
import { defineCommand, runMain } from 'citty';
import { measureBareWrites } from './bare-writes.ts';
import { measureDelivery } from './deliver.ts';
import { measureFetches } from './fetch-pages.ts';
import { runLoad } from './http-load.ts';
import { measureOverload } from './overload.ts';
import { seed } from './seed.ts';
import type { Seed } from './seed.ts';
import { readySends } from './send-requests.ts';
import { openStage } from './stage.ts';
import type { Stage } from './stage.ts';

/** How much is measured; every figure of a run comes from the same minutes on the same machine. */
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
  },
} as const;

type Plan = (typeof plans)[keyof typeof plans];

const sendConnections = 64;
/** What can be measured; `--only` picks some of it. */
const parts = ['throughput', 'overload'] as const;

const command = defineCommand({
  meta: {
    name: 'bench',
    description: 'Measures sends, fetches and live delivery, and the bare rate of the same write.',
  },
  args: {
    json: { type: 'string', description: 'File to write the figures to.' },
    only: { type: 'string', description: `Measure only one of: ${parts.join(', ')}.` },
    quick: { type: 'boolean', description: 'Less of everything; under a minute.' },
  },
  async run({ args }) {
    if (args.only !== undefined && !parts.some((part) => part === args.only)) {
      console.error(`--only takes one of: ${parts.join(', ')}.`);
      process.exitCode = 1;
      return;
    }
    const figures = await measure(args.quick ? plans.quick : plans.full, args.only);
    for (const [name, value] of Object.entries(figures)) console.info(`${name.padEnd(28)} ${value}`);
    if (args.json !== undefined) await writeFile(args.json, `${JSON.stringify(figures, null, 2)}\n`);
  },
});

type Figures = Record<string, number | string>;

async function measure(plan: Plan, only: string | undefined): Promise<Figures> {
  progress('starting Postgres and the server');
  const stage = await openStage();
  try {
    progress(`making ${plan.conversations} conversations`);
    const seeded = await seed(stage, plan);
    progress('warming up');
    const warmUp = readySends(seeded, plan.warmUpSends).map(({ request }) => request);
    await runLoad(stage.serverPort, sendConnections, warmUp);
    return {
      ...(only === 'overload' ? {} : await throughputFigures(stage, seeded, plan)),
      ...(only === 'throughput' ? {} : await overloadFigures(stage, seeded, plan)),
    };
  } finally {
    await stage.close();
  }
}

async function throughputFigures(stage: Stage, seeded: Seed, plan: Plan): Promise<Figures> {
  progress('signing tokens');
  const sends = readySends(seeded, plan.sends).map(({ request }) => request);
  progress('sending');
  const sent = await runLoad(stage.serverPort, sendConnections, sends);
  progress('delivering at half that rate');
  const delivered = await measureDelivery(stage, seeded, {
    perSecond: sent.perSecond / 2,
    seconds: plan.deliverySeconds,
  });
  progress('fetching');
  const fetched = await measureFetches(stage, seeded, plan.pages);
  progress('writing the same rows without the service');
  const bare = await measureBareWrites(stage, seeded, plan.bareSeconds);
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

async function overloadFigures(stage: Stage, seeded: Seed, plan: Plan): Promise<Figures> {
  progress('sending three times as much as can be done');
  const overload = await measureOverload(stage, seeded, plan.overload);
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

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

function progress(step: string): void {
  console.info(process.stdout.isTTY ? `… ${step}` : JSON.stringify({ step }));
}

await runMain(command);
