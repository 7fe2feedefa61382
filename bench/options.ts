import { plans } from './plan.ts';
import type { Plan } from './plan.ts';
import { scenarios } from './scenarios/scenarios.ts';
import type { Scenario } from './scenarios/scenarios.ts';
import type { Workload } from './workloads/workload.ts';
import { workloads } from './workloads/workloads.ts';

export interface BenchOptions {
  readonly against: string | undefined;
  readonly selected: { readonly workloads: readonly Workload[]; readonly scenarios: readonly Scenario[] };
  readonly rounds: number;
  readonly plan: Plan;
  readonly json: string | undefined;
}

export const selectableNames: readonly string[] = [...workloads, ...scenarios].map(({ name }) => name);

const roundsWithBaseline = 5;

/**
 * Reads the options of the command line. Without `only` every workload is selected and no scenario.
 * @throws Error when `only` names something else, or `rounds` is not a whole number from 1.
 */
export function parseOptions(args: {
  against?: string | undefined;
  only?: string | undefined;
  rounds?: string | undefined;
  quick?: boolean | undefined;
  json?: string | undefined;
}): BenchOptions {
  const { against, only, quick, json } = args;
  const rounds = Number(args.rounds ?? (against === undefined ? 1 : roundsWithBaseline));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds takes a whole number from 1.');
  return { against, selected: select(only), rounds, plan: quick === true ? plans.quick : plans.full, json };
}

function select(only: string | undefined): BenchOptions['selected'] {
  if (only === undefined) return { workloads, scenarios: [] };
  const names = only.split(',');
  const unknown = names.find((name) => !selectableNames.includes(name));
  if (unknown !== undefined) throw new Error(`--only takes ${selectableNames.join(', ')}; ${unknown} is none of them.`);
  return {
    workloads: workloads.filter(({ name }) => names.includes(name)),
    scenarios: scenarios.filter(({ name }) => names.includes(name)),
  };
}
