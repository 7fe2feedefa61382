import { flushCompileCache } from 'node:module';
import { usesDevelopmentIdentities } from '#development/development-setting.ts';
import { systemClock } from '#platform/clock.ts';
import { removeSecrets, readConfig } from '#platform/config/config.ts';
import type { Config } from '#platform/config/config.ts';
import { createProcessLogger, describeError } from '#platform/logging/logger.ts';
import type { LogFormat, Logger } from '#platform/logging/logger.ts';
import { isTransientError } from '#platform/transient-error.ts';
import { factsOfThisProcess } from '#platform/process/process-facts.ts';
import { stopInOrder } from '#platform/process/shutdown.ts';
import type { StopStep } from '#platform/process/shutdown.ts';
import { buildChatPage } from '#ops/chat-files.ts';
import { hasChatPage } from '#ops/chat-page.ts';
import { exitCodeOf, operatorMessage } from '#ops/operator-message.ts';
import { startupSummary } from '#ops/startup-summary.ts';
import { startServer } from '#server/start-server.ts';
import type { RunningServer } from '#server/start-server.ts';

/** `all` runs the server and the workers in one process, and `server` runs the server alone. */
type Role = 'all' | 'server';

async function start(role: Role, config: Config, logger: Logger, steps: StopStep[]): Promise<RunningServer> {
  const clock = systemClock;
  const server = await startServer({ config, clock, logger, role, steps });
  if (role === 'all') {
    // The first request for the chat page finds it built, or waits for less.
    if (hasChatPage(config) && config.NODE_ENV !== 'production') buildChatPage().catch(() => undefined);
    // The workers are loaded after the server has started, so that the packages of the jobs do not delay the first
    // requests.
    const { startWorkers } = await import('../workers/main.ts');
    const { databaseUrl, database, metrics } = server;
    const workers = await startWorkers({ databaseUrl, database, config, clock, logger, metrics });
    steps.splice(2, 0, { name: 'workers', run: () => workers.close() });
    if (config.ADMIN_KEY !== undefined) {
      server.showJobs({ queue: workers.queue, key: config.ADMIN_KEY, isWritable: config.JOB_BOARD_WRITES });
    }
  }
  return server;
}

/**
 * Runs a server until SIGTERM or SIGINT, and then stops its parts in order. With the argument `all` the process also
 * runs the workers.
 */
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
  removeSecrets(process.env);
  const format: LogFormat = config.LOG_FORMAT ?? (process.stdout.isTTY ? 'text' : 'json');
  const logger = createProcessLogger(format, config);
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
  // Node would print the text of the error, which may contain data, so only the place in the code is logged.
  process.on('uncaughtException', (error) => {
    logger.log('background_failed', { part: 'process', ...describeError(error) });
    // A transient error does not stop the server, because postgres.js does not handle the rejection of its first query
    // on a new connection (fetchArrayTypes).
    if (!isTransientError(error)) void stop(1, 'other');
  });
  try {
    const { url, adminPort } = await start(role, config, logger, steps);
    const hasDevelopmentIdentities = usesDevelopmentIdentities(config, role);
    if (format === 'text')
      console.info(startupSummary({ role, config, url, adminPort, hasDevelopmentIdentities }).join('\n'));
    // The compile cache is written now, because Node writes it only at a regular exit and a supervisor may kill the
    // process.
    flushCompileCache();
  } catch (error) {
    report(error);
    await stop(exitCodeOf(error), 'other');
  }
}

/**
 * Prints the message of an error that the operator can fix, or for a defect only the error class and the place in the
 * code.
 */
function report(error: unknown): void {
  console.error(operatorMessage(error) ?? describeError(error));
}
