import { flushCompileCache } from 'node:module';
import { systemClock } from '#platform/clock.ts';
import { forgetSecrets, readConfig } from '#platform/config/config.ts';
import type { Config } from '#platform/config/config.ts';
import { createLogger, describeError } from '#platform/logging/logger.ts';
import type { Logger } from '#platform/logging/logger.ts';
import { isTransientError } from '#platform/transient-error.ts';
import { factsOfThisProcess } from '#platform/process/process-facts.ts';
import { stopInOrder } from '#platform/process/shutdown.ts';
import type { StopStep } from '#platform/process/shutdown.ts';
import { exitCodeOf, operatorMessage } from '#ops/operator-message.ts';
import { startServer } from '#server/start-server.ts';

/** `all`: server, workers and, without DATABASE_URL, Postgres in one process. `server`: the server alone. */
type Role = 'all' | 'server';

async function start(role: Role, config: Config, logger: Logger, steps: StopStep[]): Promise<void> {
  const clock = systemClock;
  const server = await startServer({ config, clock, logger, steps });
  if (role === 'all') {
    // Those who call are answered by now; what the jobs need takes as long to load as the server.
    const { startWorkers } = await import('../workers/main.ts');
    const { databaseUrl, database, metrics } = server;
    const workers = await startWorkers({ databaseUrl, database, config, clock, logger, metrics });
    steps.splice(2, 0, { name: 'workers', run: () => workers.close() });
    if (config.ADMIN_KEY !== undefined) {
      server.showJobs({ queue: workers.queue, key: config.ADMIN_KEY, isWritable: config.JOB_BOARD_WRITES });
    }
  }
  if (process.stdout.isTTY) console.info(`Nightjar answers at ${server.url}/xrpc/_health`);
}

/** Runs a server until SIGTERM or SIGINT, then lets running requests, streams and jobs end. `argument`: `all` or anything else. */
export async function run(argument: string | undefined): Promise<void> {
  try {
    await main(argument === 'all' ? 'all' : 'server');
  } catch (error) {
    report(error);
    process.exitCode = exitCodeOf(error);
  }
}

async function main(role: Role): Promise<void> {
  const config = readConfig(process.env, factsOfThisProcess());
  forgetSecrets(process.env);
  const logger = createLogger(config.LOG_LEVEL ?? (config.NODE_ENV === 'production' ? 'warn' : 'info'));
  const steps: StopStep[] = [];
  let stopping = false;
  const stop = async (exitCode: number, signal: 'SIGINT' | 'SIGTERM' | 'other'): Promise<void> => {
    if (stopping) return;
    stopping = true;
    const startedMs = systemClock.monotonicMs();
    logger.log('server_stopping', { signal });
    const result = await stopInOrder(steps, {
      clock: systemClock,
      timeoutMs: config.SHUTDOWN_TIMEOUT_MS,
      onFailure: (_step, error) => logger.log('background_failed', { part: 'process', ...describeError(error) }),
    });
    logger.log('server_stopped', { tookMs: systemClock.monotonicMs() - startedMs });
    process.exit(result === 'clean' ? exitCode : 1);
  };
  process.once('SIGTERM', () => void stop(0, 'SIGTERM')).once('SIGINT', () => void stop(0, 'SIGINT'));
  // Node would print the error's text, which may hold data; only its place in the code may be said.
  process.on('uncaughtException', (error) => {
    logger.log('background_failed', { part: 'process', ...describeError(error) });
    // postgres.js leaves the rejection of its own first query on a new connection to nobody (fetchArrayTypes).
    if (!isTransientError(error)) void stop(1, 'other');
  });
  try {
    await start(role, config, logger, steps);
    // A process that is killed would write nothing.
    flushCompileCache();
  } catch (error) {
    report(error);
    await stop(exitCodeOf(error), 'other');
  }
}

/** An operator's mistake in words; of anything else only where it arose. */
function report(error: unknown): void {
  console.error(operatorMessage(error) ?? describeError(error));
}
