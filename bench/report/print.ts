import type { WorkloadFigures } from '../run-rounds.ts';

const columns = [
  { title: '/s', of: 'perSecond', digits: 0 },
  { title: 'p50 ms', of: 'p50Ms', digits: 1 },
  { title: 'p99 ms', of: 'p99Ms', digits: 1 },
  { title: 'server µs', of: 'serverCpuUs', digits: 0 },
  { title: 'Postgres µs', of: 'postgresCpuUs', digits: 0 },
  { title: 'load µs', of: 'generatorCpuUs', digits: 0 },
  { title: 'WAL bytes', of: 'walSizeBytes', digits: 0 },
  { title: 'grows KB', of: 'memoryGrowthSizeBytes', digits: 1, divisor: 1e3 },
  { title: 'server MB', of: 'serverMemorySizeBytes', digits: 0, divisor: 1e6 },
] as const;

const nameWidth = 34;
const columnWidth = 12;

export function headerLine(): string {
  return ['per operation'.padEnd(nameWidth), ...columns.map(({ title }) => title.padStart(columnWidth))].join('');
}

/** Returns one line of this tree's figures, and with a baseline a line of its figures and a line of the ratios. */
export function linesOf(figures: WorkloadFigures): string[] {
  const { name, current, baseline, ratio } = figures;
  const line = (label: string, spreads: WorkloadFigures['current']): string =>
    [label.padEnd(nameWidth), ...columns.map((column) => format(spreads[column.of].median, column))].join('');
  if (baseline === undefined || ratio === undefined) return [line(name, current)];
  const ratios = columns.map(({ of }) => `${ratio[of].median.toFixed(2)}×`.padStart(columnWidth)).join('');
  const spread = columns
    .map(({ of }) => `${ratio[of].low.toFixed(2)}–${ratio[of].high.toFixed(2)}`.padStart(columnWidth))
    .join('');
  return [
    line(name, current),
    line('  baseline', baseline),
    `${'  ratio'.padEnd(nameWidth)}${ratios}`,
    `${'  lowest–highest'.padEnd(nameWidth)}${spread}`,
  ];
}

function format(value: number, column: (typeof columns)[number]): string {
  const divisor = 'divisor' in column ? column.divisor : 1;
  return (value / divisor).toFixed(column.digits).padStart(columnWidth);
}
