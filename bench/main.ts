import { writeFile } from 'node:fs/promises';
import { defineCommand, runMain } from 'citty';
import { runClosedLoop } from './load/closed-loop.ts';
import { openSide } from './load/side.ts';
import type { Side } from './load/side.ts';
import { readySends } from './load/send-requests.ts';
import { parseOptions, selectableNames } from './options.ts';
import type { BenchOptions } from './options.ts';
import { plans } from './plan.ts';
import type { Plan } from './plan.ts';
import { writePerformancePage } from './report/performance-page.ts';
import { headerLine, linesOf } from './report/print.ts';
import { resultsOf } from './report/results.ts';
import { runRounds } from './run-rounds.ts';
import type { WorkloadFigures } from './run-rounds.ts';
import { startBenchServer } from './server/bench-server.ts';
import { checkOut, workingTree } from './server/checkout.ts';
import type { Checkout } from './server/checkout.ts';

const warmUpConnections = 64;

const command = defineCommand({
  meta: {
    name: 'bench',
    description: 'Measures CPU time, latency, bytes and memory of each kind of request, also against another commit.',
  },
  args: {
    against: { type: 'string', description: 'A git ref to compare with. The two servers are measured in turn.' },
    only: { type: 'string', description: `Comma-separated; one or more of: ${selectableNames.join(', ')}.` },
    set: {
      type: 'string',
      description: 'Settings of the server of this tree, such as SERVER_PROCESSES=2,SERVER_COUNT=2.',
    },
    rounds: { type: 'string', description: 'Rounds of each workload; default 5 with --against, otherwise 1.' },
    quick: { type: 'boolean', description: 'Smaller measurements.' },
    json: { type: 'string', description: 'File for the figures, as JSON.' },
    page: { type: 'boolean', description: 'Write docs/performance.md and its plots.' },
  },
  async run({ args }) {
    const sides: Side[] = [];
    try {
      await measureAll(parseOptions(args), sides);
    } finally {
      for (const side of sides) await side.server.close();
    }
  },
});

/** Measures what `options` name, prints the figures and writes them to a file. Adds each server that it starts to `sides`. */
async function measureAll(
  { against, selected, rounds, plan, settings, json, page }: BenchOptions,
  sides: Side[],
): Promise<void> {
  const current = await open(await workingTree(), { plan, settings, sides });
  if (against !== undefined) progress(`preparing ${against}`);
  const baseline =
    against === undefined ? undefined : await open(await checkOut(against), { plan, settings: {}, sides });
  const figures: WorkloadFigures[] = [];
  console.info(headerLine());
  for (const workload of selected.workloads) {
    const onRound = (round: number): void => progress(`${workload.name}, round ${round} of ${rounds}`);
    const result = await runRounds(workload, { current, baseline }, { rounds, onRound });
    figures.push(result);
    for (const line of linesOf(result)) console.info(line);
  }
  const scenarioFigures: Record<string, number> = {};
  for (const scenario of selected.scenarios) {
    progress(scenario.title);
    Object.assign(scenarioFigures, await scenario.measure(current));
  }
  for (const [name, value] of Object.entries(scenarioFigures)) console.info(`${name.padEnd(34)}${value.toFixed(3)}`);
  const measured = { isQuick: plan === plans.quick, rounds, workloads: figures, scenarios: scenarioFigures };
  const results = await resultsOf(current.server, baseline?.server, measured);
  for (const [name, value] of Object.entries(results.figures)) console.info(`${name.padEnd(34)}${value.toFixed(3)}`);
  if (json !== undefined) await writeFile(json, `${JSON.stringify(results, null, 2)}\n`);
  if (page) await writePerformancePage(results);
}

async function open(
  checkout: Checkout,
  { plan, settings, sides }: { plan: Plan; settings: BenchOptions['settings']; sides: Side[] },
): Promise<Side> {
  progress(`starting the server of ${checkout.ref}`);
  const side = await openSide(await startBenchServer(checkout, settings), plan);
  sides.push(side);
  const warmUp = readySends(side.conversations, plan.warmUpSends).map(({ request }) => request);
  await runClosedLoop(side.server.serverPort, warmUpConnections, warmUp);
  return side;
}

function progress(step: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K… ${step}`);
  else console.error(JSON.stringify({ step }));
}

await runMain(command);
