import { plans } from './plan.ts';
import type { Plan } from './plan.ts';
import { scenarios } from './scenarios/scenarios.ts';
import type { Scenario } from './scenarios/scenario.ts';
import type { ServerSettings } from './server/bench-server.ts';
import type { Workload } from './workloads/workload.ts';
import { workloads } from './workloads/workloads.ts';

export interface BenchOptions {
  readonly against: string | undefined;
  readonly selected: { readonly workloads: readonly Workload[]; readonly scenarios: readonly Scenario[] };
  readonly rounds: number;
  readonly plan: Plan;
  /** Settings of the server of this tree, in addition to those of every measured server. */
  readonly settings: ServerSettings;
  readonly json: string | undefined;
  /** Whether to write docs/performance.md. */
  readonly page: boolean;
}

export const selectableNames: readonly string[] = [...workloads, ...scenarios].map(({ name }) => name);

const roundsWithBaseline = '5';

/**
 * Reads the options of the command line. Without `only` every workload is selected and no scenario.
 * @throws Error when `only` names something else, a setting has no value, or a number is not whole and at least 1.
 */
export function parseOptions(args: {
  against?: string | undefined;
  only?: string | undefined;
  rounds?: string | undefined;
  set?: string | undefined;
  quick?: boolean | undefined;
  json?: string | undefined;
  page?: boolean | undefined;
}): BenchOptions {
  const { against, only, quick, json, page = false } = args;
  const rounds = wholeNumber('rounds', args.rounds ?? (against === undefined ? '1' : roundsWithBaseline));
  return {
    against,
    selected: select(only),
    rounds,
    settings: parseSettings(args.set),
    plan: quick === true ? plans.quick : plans.full,
    json,
    page,
  };
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

function parseSettings(list: string | undefined): ServerSettings {
  const settings: Record<string, string> = {};
  for (const part of list === undefined ? [] : list.split(',')) {
    const end = part.indexOf('=');
    if (end < 1) throw new Error('--set takes NAME=value, separated by commas.');
    settings[part.slice(0, end)] = part.slice(end + 1);
  }
  return settings;
}

function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${option} takes a whole number from 1.`);
  return value;
}
