import { arch, availableParallelism, cpus, totalmem } from 'node:os';
import type { BenchServer } from '../server/bench-server.ts';
import type { WorkloadFigures } from '../run-rounds.ts';
import { valuesOf } from './named-figures.ts';

/** Everything that one run measured, as `--json` writes it. */
export interface Results {
  readonly machine: {
    readonly processor: string;
    readonly processors: number;
    readonly architecture: string;
    readonly memoryGiB: number;
    readonly node: string;
    readonly postgres: string;
  };
  readonly commits: { readonly current: string; readonly baseline: string | undefined };
  /** Whether the measurements were the smaller ones of `--quick`. */
  readonly isQuick: boolean;
  readonly rounds: number;
  readonly date: string;
  readonly figures: Readonly<Record<string, number>>;
  readonly workloads: readonly WorkloadFigures[];
  readonly scenarios: Readonly<Record<string, number>>;
}

export async function resultsOf(
  current: BenchServer,
  baseline: BenchServer | undefined,
  measured: Pick<Results, 'isQuick' | 'rounds' | 'workloads' | 'scenarios'>,
): Promise<Results> {
  const [row] = await current.database.sql<{ version: string }[]>`SELECT current_setting('server_version') AS version`;
  return {
    machine: {
      processor: cpus()[0]?.model ?? 'unknown',
      processors: availableParallelism(),
      architecture: arch(),
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      node: process.version,
      postgres: row?.version ?? 'unknown',
    },
    commits: { current: current.checkout.commit, baseline: baseline?.checkout.commit },
    date: new Date().toISOString().slice(0, 10),
    figures: valuesOf(measured.workloads),
    ...measured,
  };
}
