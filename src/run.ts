import cluster from 'node:cluster';
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
import type { RunningProcesses } from '#server/start-processes.ts';
import type { RunningServer } from '#server/start-server.ts';

/** `all` runs the server and the workers in one process, and `server` runs the server alone. */
type Role = 'all' | 'server';

interface StartDeps {
  readonly role: Role;
  readonly config: Config;
  readonly logger: Logger;
  readonly steps: StopStep[];
  /** The environment with its secrets, for the server processes that this process starts. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onGiveUp: (error: Error) => void;
}

/** Time for the parent of several processes to end after them. */
const parentStopMs = 5_000;

/** Returns whether this process starts several server processes and serves no requests itself. */
function isParent(config: Config): boolean {
  return config.SERVER_PROCESSES > 1 && cluster.isPrimary;
}

async function start(deps: StartDeps): Promise<RunningServer | RunningProcesses> {
  const { role, config, logger, steps } = deps;
  const clock = systemClock;
  if (cluster.isWorker) return startOneOfSeveral(deps);
  const server = isParent(config) ? await startSeveral(deps) : await startSingle(deps);
  if (role === 'all') {
    // The first request for the chat page finds it built, or waits for less.
    if (!isParent(config) && hasChatPage(config) && config.NODE_ENV !== 'production')
      buildChatPage().catch(() => undefined);
    // The workers are loaded after the server has started, so that the packages of the jobs do not delay the first
    // requests.
    const { startWorkers } = await import('../workers/main.ts');
    const { databaseUrl, database, metrics } = server;
    const workers = await startWorkers({ databaseUrl, database, config, clock, logger, metrics });
    steps.splice(isParent(config) ? 1 : 2, 0, { name: 'workers', run: () => workers.close() });
    if (config.ADMIN_KEY !== undefined) {
      server.admin?.showJobs({ queue: workers.queue, key: config.ADMIN_KEY, isWritable: config.JOB_BOARD_WRITES });
    }
  }
  return server;
}

// A parent loads no server, and a server no supervisor.
async function startSeveral(deps: StartDeps): Promise<RunningProcesses> {
  const { startProcesses } = await import('#server/start-processes.ts');
  return startProcesses({ ...deps, clock: systemClock });
}

async function startSingle(deps: StartDeps): Promise<RunningServer> {
  const { startServer } = await import('#server/start-server.ts');
  return startServer({ ...deps, clock: systemClock });
}

/** Starts one of several server processes. To shared counts each of them is a server. */
async function startOneOfSeveral(deps: StartDeps): Promise<RunningServer> {
  const { startServer } = await import('#server/start-server.ts');
  const config = { ...deps.config, SERVER_COUNT: deps.config.SERVER_COUNT * deps.config.SERVER_PROCESSES };
  const server = await startServer({ ...deps, config, clock: systemClock, isOneOfSeveral: true });
  const { reportToParent } = await import('#server/process-messages.ts');
  reportToParent(server);
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
  const env = { ...process.env };
  const config = readConfig(env, factsOfThisProcess());
  removeSecrets(process.env);
  const format: LogFormat = config.LOG_FORMAT ?? (process.stdout.isTTY ? 'text' : 'json');
  const logger = createProcessLogger(format, config, cluster.worker?.id);
  const steps: StopStep[] = [];
  let stopping = false;
  const stop = async (exitCode: number, signal: 'SIGINT' | 'SIGTERM' | 'other'): Promise<void> => {
    if (stopping) return;
    stopping = true;
    const startedMs = systemClock.monotonicMs();
    logger.log('server_stopping', { signal });
    const result = await stopInOrder(steps, {
      clock: systemClock,
      timeoutMs: config.SHUTDOWN_TIMEOUT_MS + (isParent(config) ? parentStopMs : 0),
      onFailure: (_step, error) => logger.log('background_failed', { part: 'process', ...describeError(error) }),
    });
    logger.log('server_stopped', { tookMs: systemClock.monotonicMs() - startedMs });
    process.exit(result === 'clean' ? exitCode : 1);
  };
  // One of several processes may get SIGTERM twice: from its parent, and from systemd.
  process.on('SIGTERM', () => void stop(0, 'SIGTERM')).once('SIGINT', () => void stop(0, 'SIGINT'));
  // Node would print the text of the error, which may contain data, so only the place in the code is logged.
  process.on('uncaughtException', (error) => {
    logger.log('background_failed', { part: 'process', ...describeError(error) });
    // A transient error does not stop the server, because postgres.js does not handle the rejection of its first query
    // on a new connection (fetchArrayTypes).
    if (!isTransientError(error)) void stop(1, 'other');
  });
  try {
    const onGiveUp = (error: Error): void => {
      report(error);
      void stop(exitCodeOf(error), 'other');
    };
    const { url, admin } = await start({ role, config, logger, steps, env, onGiveUp });
    const hasDevelopmentIdentities = usesDevelopmentIdentities(config, role);
    if (format === 'text' && admin !== undefined)
      console.info(startupSummary({ role, config, url, adminPort: admin.port, hasDevelopmentIdentities }).join('\n'));
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
