import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MeasurementName, Spread, WorkloadFigures } from '../run-rounds.ts';
import { drawBars } from './bar-plot.ts';
import type { Bar } from './bar-plot.ts';
import { namedFigures } from './named-figures.ts';
import type { Results } from './results.ts';

const docs = fileURLToPath(new URL('../../docs', import.meta.url));
const imagesFolder = 'images/performance';
const commitLength = 7;

/** Writes docs/performance.md and its plots from the results of one run. */
export async function writePerformancePage(results: Results): Promise<void> {
  await mkdir(join(docs, imagesFolder), { recursive: true });
  for (const { file, text } of plotsOf(results)) await writeFile(join(docs, imagesFolder, file), text);
  await writeFile(join(docs, 'performance.md'), pageOf(results));
}

interface PlotFile {
  readonly file: string;
  readonly title: string;
  readonly text: string;
}

function plotsOf({ workloads }: Results): PlotFile[] {
  const plots: PlotFile[] = [];
  const add = (file: string, title: string, of: MeasurementName): void => {
    const bars = workloads.flatMap(({ name, ratio }): Bar[] =>
      ratio === undefined || ratio[of].median === 0 ? [] : [barOf(name, ratio[of])],
    );
    const format = (value: number): string => `${value.toFixed(2)}×`;
    if (bars.length > 0) plots.push({ file, title, text: drawBars({ title, bars, marks: [0.5, 1], format }) });
  };
  add('server-cpu.svg', 'CPU time of the server per operation, compared with the baseline', 'serverCpuUs');
  add('postgres-cpu.svg', 'CPU time of Postgres per operation, compared with the baseline', 'postgresCpuUs');
  return plots;
}

function barOf(label: string, { median, low, high }: Spread): Bar {
  return { label, value: median, low, high };
}

function pageOf(results: Results): string {
  const { machine, commits, date, figures, workloads, scenarios } = results;
  const short = (commit: string): string => commit.slice(0, commitLength);
  const options = optionsOf(results);
  const lines = [
    '# Performance',
    '',
    `\`npm run bench --${options} --page\` wrote this page on ${date}, from commit ${short(commits.current)}.`,
    `Machine: ${machine.processors} × ${machine.processor} (${machine.architecture}), ${machine.memoryGiB} GiB, Node ${machine.node}, Postgres ${machine.postgres}.`,
    'The server, Postgres and the load generator share this machine. Values are medians of the rounds.',
    '',
    'Rates depend on the machine and on the day. Compare CPU time per operation and ratios: both sides of a ratio come from the same run.',
    '',
    ...plotsOf(results).flatMap(({ file, title }) => [`![${title}](${imagesFolder}/${file})`, '']),
    '## Ratios',
    '',
    ...table(
      ['Figure', 'Meaning', 'Value', 'Goal'],
      namedFigures.flatMap(({ name, meaning, goal }) =>
        figures[name] === undefined ? [] : [[`\`${name}\``, meaning, figures[name].toFixed(2), goal]],
      ),
    ),
    '## Workloads',
    '',
    ...table(
      [
        'Workload',
        'One operation',
        '/s',
        'p50 ms',
        'p99 ms',
        'Server CPU µs',
        'Postgres CPU µs',
        'WAL bytes',
        'Server MB',
      ],
      workloads.map(rowOf),
    ),
    ...(commits.baseline === undefined ? [] : comparison(workloads, short(commits.baseline))),
    ...(Object.keys(scenarios).length === 0 ? [] : ['## Scenarios', '']),
    ...scenarioTable(scenarios),
    '## How to measure',
    '',
    '- `npm run bench` measures every workload once. `--only sends,pages` selects some, `--quick` makes them smaller, `--json FILE` writes the figures.',
    '- `npm run bench -- --against <git ref>` measures this tree and that commit in turn, five rounds of each workload, and prints the ratio of each round’s pair.',
    '- A closed loop sends the next request when the last is answered. An open loop sends at a fixed rate, and its latencies count from when a request was due.',
    '- WAL bytes are what Postgres writes to its write-ahead log. Server MB is resident memory after the round.',
    '- `--only history,overload,compaction` measures long scenarios of this tree alone.',
    '',
  ];
  return lines.join('\n');
}

/** Returns the options that repeat the run. */
function optionsOf({ isQuick, rounds, commits: { baseline } }: Results): string {
  const against = baseline === undefined ? '' : ` --against ${baseline.slice(0, commitLength)}`;
  return `${isQuick ? ' --quick' : ''} --rounds ${rounds}${against}`;
}

function rowOf({ name, title, current }: WorkloadFigures): string[] {
  const { perSecond, p50Ms, p99Ms, serverCpuUs, postgresCpuUs, walSizeBytes, serverMemorySizeBytes } = current;
  const latency = (spread: Spread): string => (spread.median === 0 ? '' : spread.median.toFixed(1));
  const memory = (serverMemorySizeBytes.median / 1e6).toFixed(0);
  return [
    `\`${name}\``,
    title,
    count(perSecond),
    latency(p50Ms),
    latency(p99Ms),
    ...[serverCpuUs, postgresCpuUs, walSizeBytes].map(count),
    memory,
  ];
}

function count({ median }: Spread): string {
  return Math.round(median).toLocaleString('en-US');
}

function comparison(workloads: readonly WorkloadFigures[], baseline: string): string[] {
  const rows = workloads.flatMap(({ name, rounds, ratio, baseline: reference }) => {
    if (ratio === undefined || reference === undefined) return [];
    const of = ({ median, low, high }: Spread): string => `${median.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`;
    return [
      [
        `\`${name}\``,
        String(rounds),
        count(reference.serverCpuUs),
        ...[ratio.serverCpuUs, ratio.postgresCpuUs, ratio.perSecond, ratio.p99Ms].map(of),
      ],
    ];
  });
  const head = ['Workload', 'Rounds', 'Server CPU µs then', 'Server CPU', 'Postgres CPU', 'Rate', 'p99'];
  return [
    `## Compared with ${baseline}`,
    '',
    'Median of the rounds’ ratios, with the lowest and the highest.',
    '',
    ...table(head, rows),
  ];
}

function scenarioTable(scenarios: Results['scenarios']): string[] {
  const rows = Object.entries(scenarios).map(([name, value]) => [`\`${name}\``, value.toFixed(3)]);
  return rows.length === 0 ? [] : table(['Figure', 'Value'], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line), ''];
}
