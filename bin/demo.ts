import { mkdtempSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#platform/clock.ts';
import { readConfig } from '#platform/config/config.ts';
import { createLogger, describeError } from '#platform/logging/logger.ts';
import { stopInOrder } from '#platform/process/shutdown.ts';
import type { StopStep } from '#platform/process/shutdown.ts';
import { operatorMessage } from '#ops/operator-message.ts';
import { startServer } from '../src/server/start-server.ts';
import { startLoopbackPlc } from '../test/support/network/loopback-plc.ts';
import { createDemoOutput } from './demo/output.ts';
import { createPeople, runScenario } from './demo/scenario.ts';

/** The time limit of the whole demo in milliseconds, with the creation of the database. */
const timeoutMs = 27_000;
const stopTimeoutMs = 5_000;
const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

async function runDemo(dataDir: string, steps: StopStep[]): Promise<void> {
  const plc = await startLoopbackPlc();
  steps.unshift({ name: 'directory', run: () => plc.close() });
  const config = readConfig({
    SERVER_PORT: '0',
    ADMIN_PORT: '0',
    DATA_DIR: dataDir,
    PLC_URL: plc.url,
    IDENTITY_ALLOW_PRIVATE_NETWORK: 'true',
    BLOCK_CHECKS: 'false',
    RATE_LIMIT_CREATE_CONVO: '60',
  });
  console.log('Starting a separate Nightjar with its own Postgres in a temporary folder ...');
  const server = await startServer({ config, clock: systemClock, logger: createLogger('silent'), steps });
  const output = createDemoOutput((line) => console.log(line));
  await runScenario({ server, people: createPeople(server, plc), output });
}

/** Exits 0 when every step succeeded, and 1 with the reason otherwise; deletes its data, also after Ctrl-C. */
async function main(): Promise<void> {
  const startedMs = systemClock.monotonicMs();
  const dataDir = mkdtempSync(join(tmpdir(), 'nightjar-demo-'));
  process.once('exit', () => rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 }));
  const steps: StopStep[] = [];
  const running = runDemo(dataDir, steps);
  const interrupted = new Promise<never>((_resolve, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.once(signal, () => reject(new Interruption(signal)));
  });
  const overdue = systemClock.sleep(timeoutMs).then(() => Promise.reject(new Overdue()));
  let exitCode = 0;
  try {
    await Promise.race([running, interrupted, overdue]);
    console.log(`\nEvery step succeeded, in ${((systemClock.monotonicMs() - startedMs) / 1_000).toFixed(1)} s.`);
  } catch (error) {
    exitCode = error instanceof Interruption ? exitCodes[error.signal] : 1;
    console.error(reason(error));
  }
  await stop(running, steps);
  await rm(dataDir, { recursive: true, force: true, maxRetries: 3 });
  process.exit(exitCode);
}

/** Stops the demo. A start that is in progress must end first, because everything that it opens has to be closed. */
async function stop(running: Promise<void>, steps: readonly StopStep[]): Promise<void> {
  const ended = running.catch(() => undefined);
  const isStarting = steps.every(({ name }) => name !== 'listener');
  if (isStarting) await Promise.race([ended, systemClock.sleep(stopTimeoutMs)]);
  await stopInOrder(steps, { clock: systemClock, timeoutMs: stopTimeoutMs, onFailure: () => undefined });
}

class Interruption extends Error {
  readonly signal: keyof typeof exitCodes;

  constructor(signal: keyof typeof exitCodes) {
    super(`Interrupted by ${signal}; cleaning up.`);
    this.signal = signal;
  }
}

class Overdue extends Error {
  constructor() {
    super(`The demo took longer than ${timeoutMs / 1_000} s. Is the machine very busy?`);
  }
}

/** Returns the text of an error. The whole text may be printed, because the demo has no data of real people. */
function reason(error: unknown): string {
  if (error instanceof Interruption || error instanceof Overdue) return error.message;
  const known = operatorMessage(error);
  if (known !== undefined) return known;
  const text = error instanceof Error ? error.message : String(error);
  return `The demo failed: ${text} (${describeError(error).at ?? 'no place'})`;
}

await main();
