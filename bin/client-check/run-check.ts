import { startClientProcess } from './client-process.ts';
import type { Report } from './report.ts';
import { runScenario } from './run-scenario.ts';
import type { ScenarioResult } from './run-scenario.ts';
import type { Scenario } from './scenario.ts';
import { Session } from './session.ts';
import type { CheckServers } from './start-servers.ts';

export interface CheckOptions {
  readonly scenarios: readonly Scenario[];
  readonly seed: number;
  /** Command of the client; undefined: the check waits for a client that a person starts. */
  readonly command: string | undefined;
  /** Scenarios at the same time, each with a client of its own; without a command it is 1. */
  readonly parallel: number;
  readonly answerMs: number;
  /** Folder for key files. */
  readonly folder: string;
}

/** Runs the scenarios and prints them. @returns whether the client broke no rule. */
export async function runCheck(servers: CheckServers, options: CheckOptions, report: Report): Promise<boolean> {
  const results =
    options.command === undefined
      ? await withOneClient(servers, options, report)
      : await withClientEach(servers, options, options.command, report);
  report.end(results);
  return results.every(({ findings }) => findings.length === 0);
}

/** All scenarios with one client, which a person starts. */
async function withOneClient(servers: CheckServers, options: CheckOptions, report: Report): Promise<ScenarioResult[]> {
  const session = await Session.open({
    ...sessionDeps(servers, options),
    startClient: async (identity) => {
      report.waitsFor(identity);
      return { stop: async () => undefined };
    },
  });
  await session.whenStarted(Number.POSITIVE_INFINITY);
  const results: ScenarioResult[] = [];
  for (const scenario of options.scenarios) {
    const result = await runScenario(scenario, session, { ...servers, ...options });
    report.scenario(result);
    results.push(result);
  }
  return results;
}

/** Each scenario with an account and a process of its own. */
async function withClientEach(
  servers: CheckServers,
  options: CheckOptions,
  command: string,
  report: Report,
): Promise<ScenarioResult[]> {
  const waiting = [...options.scenarios];
  const results: ScenarioResult[] = [];
  const work = async (): Promise<void> => {
    for (let scenario = waiting.shift(); scenario !== undefined; scenario = waiting.shift()) {
      const session = await Session.open({
        ...sessionDeps(servers, options),
        startClient: async (identity) => startClientProcess(command, identity),
      });
      try {
        const result = await runScenario(scenario, session, { ...servers, ...options });
        report.scenario(result);
        results.push(result);
      } finally {
        await session.close();
      }
    }
  };
  await Promise.all(Array.from({ length: options.parallel }, work));
  return results;
}

function sessionDeps(
  { front, service, plc }: CheckServers,
  { folder }: CheckOptions,
): Pick<Parameters<typeof Session.open>[0], 'front' | 'serviceDid' | 'plc' | 'folder'> {
  return { front, serviceDid: service.serviceDid, plc, folder };
}
