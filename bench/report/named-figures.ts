import type { MeasurementName, WorkloadFigures } from '../run-rounds.ts';

/** A figure that is computed from two workloads of one run, so that the speed of the machine cancels out. */
interface NamedFigure {
  readonly name: string;
  readonly meaning: string;
  readonly of: readonly [workload: string, measurement: MeasurementName];
  readonly dividedBy: readonly [workload: string, measurement: MeasurementName];
  /** The value that the project holds, for the page. */
  readonly goal: string;
  /** Operations of the first workload count as this many, such as six packages per call. */
  readonly factor?: number;
}

export const namedFigures: readonly NamedFigure[] = [
  {
    name: 'send_ratio',
    meaning: 'Sends per second ÷ the same writes by plain SQL, one per transaction',
    of: ['sends', 'perSecond'],
    dividedBy: ['bare-writes', 'perSecond'],
    goal: '≥ 0.5',
  },
  {
    name: 'fetch_ratio',
    meaning: 'Pages per second ÷ the same reads by plain SQL',
    of: ['pages', 'perSecond'],
    dividedBy: ['bare-reads', 'perSecond'],
    goal: '≥ 0.4',
  },
  {
    name: 'hot_conversation_ratio',
    meaning: 'Sends per second to one conversation ÷ to 1,000 conversations',
    of: ['sends-hot', 'perSecond'],
    dividedBy: ['sends', 'perSecond'],
    goal: '≥ 0.5',
  },
  {
    name: 'members_ratio',
    meaning: 'Server CPU of a send with 1,000 members ÷ with 2',
    of: ['sends-1000-members', 'serverCpuUs'],
    dividedBy: ['sends-2-members', 'serverCpuUs'],
    goal: '≤ 1.1',
  },
  {
    name: 'members_postgres_ratio',
    meaning: 'Postgres CPU of a send with 1,000 members ÷ with 2',
    of: ['sends-1000-members', 'postgresCpuUs'],
    dividedBy: ['sends-2-members', 'postgresCpuUs'],
    goal: '≤ 1.1',
  },
  {
    name: 'send_p99_ratio',
    meaning: 'p99 of sends at 500/s ÷ p99 of plain SQL writes',
    of: ['sends-500', 'p99Ms'],
    dividedBy: ['bare-writes', 'p99Ms'],
    goal: '≤ 5, or p99 ≤ 15 ms',
  },
  {
    name: 'live_p99_ratio',
    meaning: 'p99 from send to listener at half of the peak rate ÷ p99 of plain SQL writes',
    of: ['live-half-peak', 'p99Ms'],
    dividedBy: ['bare-writes', 'p99Ms'],
    goal: '≤ 8, or p99 ≤ 25 ms',
  },
  {
    name: 'claim_ratio',
    meaning: 'Key packages handed out per second ÷ plain SQL writes per second',
    of: ['claim-key-packages', 'perSecond'],
    dividedBy: ['bare-writes', 'perSecond'],
    goal: '≥ 0.25',
  },
  {
    name: 'publish_ratio',
    meaning: 'Key packages checked and stored per second ÷ what the signature library alone checks',
    of: ['publish-key-packages', 'perSecond'],
    dividedBy: ['bare-signatures', 'perSecond'],
    goal: '≥ 0.5, or ≥ 1,500 packages/s',
    factor: 6,
  },
  {
    name: 'fan_out_ratio',
    meaning: 'Frames per second to 1,000 listeners ÷ what the library ws alone delivers',
    of: ['fan-out-1000', 'perSecond'],
    dividedBy: ['bare-broadcast', 'perSecond'],
    goal: '≥ 0.75, or ≥ 30,000 frames/s',
  },
];

/** Computes the named figures whose workloads were measured. */
export function valuesOf(workloads: readonly WorkloadFigures[]): Readonly<Record<string, number>> {
  const valueOf = ([name, measurement]: NamedFigure['of']): number | undefined =>
    workloads.find((workload) => workload.name === name)?.current[measurement].median;
  return Object.fromEntries(
    namedFigures.flatMap(({ name, of, dividedBy, factor = 1 }) => {
      const [value, divisor] = [valueOf(of), valueOf(dividedBy)];
      return value === undefined || divisor === undefined || divisor === 0 ? [] : [[name, (value * factor) / divisor]];
    }),
  );
}
