import { median } from './load/latencies.ts';
import type { Side } from './load/side.ts';
import { measure } from './workloads/measure.ts';
import type { Measurement } from './workloads/measure.ts';
import type { Workload } from './workloads/workload.ts';

export type MeasurementName = keyof Measurement;

export const measurementNames = [
  'perSecond',
  'p50Ms',
  'p99Ms',
  'serverCpuUs',
  'postgresCpuUs',
  'generatorCpuUs',
  'walSizeBytes',
  'memoryGrowthSizeBytes',
  'serverMemorySizeBytes',
] as const satisfies readonly MeasurementName[];

/** The median of the rounds, and the lowest and the highest value. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** The figures of one workload: of this tree, of the commit it is compared with, and their ratios round by round. */
export interface WorkloadFigures {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly rounds: number;
  readonly current: Readonly<Record<MeasurementName, Spread>>;
  readonly baseline?: Readonly<Record<MeasurementName, Spread>>;
  readonly ratio?: Readonly<Record<MeasurementName, Spread>>;
}

export interface Sides {
  readonly current: Side;
  readonly baseline: Side | undefined;
}

/**
 * Measures one workload in `rounds` rounds. With a baseline each round measures both servers one after the other, and
 * the order changes from round to round, so that a slow minute of the machine affects both.
 */
export async function runRounds(
  workload: Workload,
  { current, baseline }: Sides,
  { rounds, onRound }: { rounds: number; onRound: (round: number) => void },
): Promise<WorkloadFigures> {
  const compared = workload.isReference === true ? undefined : baseline;
  const ofCurrent: Measurement[] = [];
  const ofBaseline: Measurement[] = [];
  for (let round = 0; round < rounds; round++) {
    onRound(round + 1);
    const measureCurrent = async (): Promise<unknown> => ofCurrent.push(await measure(workload, current));
    const measureBaseline = async (): Promise<unknown> =>
      compared !== undefined && ofBaseline.push(await measure(workload, compared));
    const order = round % 2 === 0 ? [measureBaseline, measureCurrent] : [measureCurrent, measureBaseline];
    for (const step of order) await step();
  }
  const { name, title, unit } = workload;
  return {
    name,
    title,
    unit,
    rounds,
    current: spreadsOf(ofCurrent),
    ...(compared === undefined ? {} : { baseline: spreadsOf(ofBaseline), ratio: ratiosOf(ofCurrent, ofBaseline) }),
  };
}

function spreadsOf(measurements: readonly Measurement[]): Record<MeasurementName, Spread> {
  return recordOf((name) => spreadOf(measurements.map((measurement) => measurement[name])));
}

function ratiosOf(current: readonly Measurement[], baseline: readonly Measurement[]): Record<MeasurementName, Spread> {
  return recordOf((name) =>
    spreadOf(
      current.map((measurement, round) => {
        const reference = baseline[round]?.[name] ?? 0;
        return reference === 0 ? 0 : measurement[name] / reference;
      }),
    ),
  );
}

function recordOf(spreadFor: (name: MeasurementName) => Spread): Record<MeasurementName, Spread> {
  return Object.fromEntries(measurementNames.map((name) => [name, spreadFor(name)])) as Record<MeasurementName, Spread>;
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), low: Math.min(...values), high: Math.max(...values) };
}
