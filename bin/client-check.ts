import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineCommand, runMain } from 'citty';
import { systemClock } from '#platform/clock.ts';
import { describeError } from '#platform/logging/logger.ts';
import { stopInOrder } from '#platform/process/shutdown.ts';
import type { StopStep } from '#platform/process/shutdown.ts';
import { operatorMessage } from '#ops/operator-message.ts';
import { createJsonReport, createTextReport } from './client-check/report.ts';
import type { Report } from './client-check/report.ts';
import { runCheck } from './client-check/run-check.ts';
import type { CheckOptions } from './client-check/run-check.ts';
import type { Scenario } from './client-check/scenario.ts';
import { scenarios } from './client-check/scenarios/all-scenarios.ts';
import { startServers } from './client-check/start-servers.ts';

const stopTimeoutMs = 10_000;
const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

class UsageError extends Error {
  override readonly name = 'UsageError';
}

function chosenScenarios(names: string | undefined): readonly Scenario[] {
  if (names === undefined) return scenarios;
  return names.split(',').map((name) => {
    const found = scenarios.find((scenario) => scenario.name === name);
    if (found === undefined) throw new UsageError(`There is no scenario ${name}; --list shows all.`);
    return found;
  });
}

function wholeNumber(name: string, text: string, min: number): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < min)
    throw new UsageError(`--${name} must be a whole number from ${min} on.`);
  return number;
}

/** Runs the check with servers of its own, and deletes their data, also after Ctrl-C. @returns the exit code. */
async function check(options: Omit<CheckOptions, 'folder'>, port: number, report: Report): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'nightjar-client-check-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  const steps: StopStep[] = [];
  report.starts();
  const running = startServers(join(folder, 'data'), port, steps).then((servers) =>
    runCheck(servers, { ...options, folder }, report),
  );
  const interrupted = new Promise<number>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.once(signal, () => resolve(exitCodes[signal]));
  });
  try {
    return await Promise.race([running.then((isPassed) => (isPassed ? 0 : 1)), interrupted]);
  } finally {
    await stopInOrder(steps, { clock: systemClock, timeoutMs: stopTimeoutMs, onFailure: () => undefined });
  }
}

const args = {
  run: {
    type: 'string',
    description: 'Command of the client; each scenario starts it with an identity in the environment',
  },
  scenario: { type: 'string', description: 'Names of scenarios, separated by commas; default: all' },
  seed: { type: 'string', default: '1', description: 'Chooses the times and the order of faults' },
  parallel: { type: 'string', default: '4', description: 'Scenarios at the same time, with --run' },
  'answer-seconds': { type: 'string', default: '20', description: 'Time that the client has for an answer' },
  port: { type: 'string', default: '0', description: 'Port to listen on; default: a free one' },
  list: { type: 'boolean', description: 'Print the scenarios and end' },
  json: { type: 'boolean', description: 'Print JSON lines also on a terminal' },
} as const;

await runMain(
  defineCommand({
    meta: { name: 'npm run client-check --', description: 'Report what a client of the service does wrong' },
    args,
    async run({ args: given }) {
      const isText = process.stdout.isTTY && given.json !== true;
      const report = (isText ? createTextReport : createJsonReport)((line) => console.log(line));
      try {
        const chosen = chosenScenarios(given.scenario);
        if (given.list === true) return report.list(chosen);
        const options = {
          scenarios: chosen,
          command: given.run,
          seed: wholeNumber('seed', given.seed, 0),
          parallel: wholeNumber('parallel', given.parallel, 1),
          answerMs: wholeNumber('answer-seconds', given['answer-seconds'], 1) * 1_000,
        };
        process.exitCode = await check(options, wholeNumber('port', given.port, 0), report);
      } catch (error) {
        process.exitCode = 1;
        if (error instanceof UsageError) console.error(error.message);
        else console.error(operatorMessage(error) ?? describeError(error));
      }
      // Connections of the client and of the partner may still be open.
      process.exit();
    },
  }),
);
