import { writeFile } from 'node:fs/promises';
import { defineCommand, runMain } from 'citty';
import { measureBareWrites } from './bare-writes.ts';
import { measureDelivery } from './deliver.ts';
import { measureFetches } from './fetch-pages.ts';
import { runLoad } from './http-load.ts';
import { seed } from './seed.ts';
import { readySends } from './send-requests.ts';
import { openStage } from './stage.ts';

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
  },
  full: {
    people: 64,
    conversations: 1_000,
    warmUpSends: 5_000,
    sends: 40_000,
    bareSeconds: 20,
    pages: 8_000,
    deliverySeconds: 20,
  },
} as const;

const sendConnections = 64;

const command = defineCommand({
  meta: {
    name: 'bench',
    description: 'Measures sends, fetches and live delivery, and the bare rate of the same write.',
  },
  args: {
    json: { type: 'string', description: 'File to write the figures to.' },
    quick: { type: 'boolean', description: 'Less of everything; under a minute.' },
  },
  async run({ args }) {
    const figures = await measure(args.quick ? plans.quick : plans.full);
    for (const [name, value] of Object.entries(figures)) console.info(`${name.padEnd(24)} ${value}`);
    if (args.json !== undefined) await writeFile(args.json, `${JSON.stringify(figures, null, 2)}\n`);
  },
});

async function measure(plan: (typeof plans)[keyof typeof plans]): Promise<Record<string, number | string>> {
  progress('starting Postgres and the server');
  const stage = await openStage();
  try {
    progress(`making ${plan.conversations} conversations`);
    const seeded = await seed(stage, plan);
    progress('signing tokens');
    const [warmUp, sends] = [readySends(seeded, plan.warmUpSends), readySends(seeded, plan.sends)];
    progress('sending');
    await runLoad(
      stage.serverPort,
      sendConnections,
      warmUp.map(({ request }) => request),
    );
    const sent = await runLoad(
      stage.serverPort,
      sendConnections,
      sends.map(({ request }) => request),
    );
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
  } finally {
    await stage.close();
  }
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

function progress(step: string): void {
  console.info(process.stdout.isTTY ? `… ${step}` : JSON.stringify({ step }));
}

await runMain(command);
