import { retentionClassNames } from '#domain/retention/retention-classes.ts';
import { jobNames } from '#jobs/catalogue.ts';
import { openJobQueue } from '#jobs/queue/queue.ts';
import type { JobQueue, JobSchedules } from '#jobs/queue/queue.ts';
import { queueLocationOf } from '#jobs/queue/queue-location.ts';
import { startAdminListener } from '#ops/admin-listener.ts';
import { startupSummary } from '#ops/startup-summary.ts';
import { systemClock } from '#platform/clock.ts';
import { removeSecrets, readConfig } from '#platform/config/config.ts';
import type { Config } from '#platform/config/config.ts';
import { createProcessLogger, describeError } from '#platform/logging/logger.ts';
import type { LogFormat, Logger } from '#platform/logging/logger.ts';
import { createMetrics } from '#platform/metrics/metrics.ts';
import { isTransientError } from '#platform/transient-error.ts';
import { factsOfThisProcess } from '#platform/process/process-facts.ts';
import { stopInOrder } from '#platform/process/shutdown.ts';
import type { StopStep } from '#platform/process/shutdown.ts';
import { checkServer } from '#storage/connection/check-server.ts';
import { openDatabase } from '#storage/connection/database.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';
import { assertMigrated } from '#storage/schema/migrator.ts';
import { exitCodeOf, operatorMessage } from '#ops/operator-message.ts';
import { cleanAuditEventsJob } from './clean-audit-events.ts';
import { cleanChatRequestsJob } from './clean-chat-requests.ts';
import { cleanDeviceAdditionsJob } from './clean-device-additions.ts';
import { cleanIdempotencyKeysJob } from './clean-idempotency-keys.ts';
import { cleanInvitesJob } from './clean-invites.ts';
import { cleanKeyPackagesJob } from './clean-key-packages.ts';
import { cleanReplayEntriesJob } from './clean-replay-entries.ts';
import { cleanReportsJob } from './clean-reports.ts';
import { cleanWelcomesJob } from './clean-welcomes.ts';
import { compactEventsJob } from './compact-events.ts';
import { compactMessagesJob } from './compact-messages.ts';
import { retireDevicesJob } from './retire-devices.ts';
import { startWorker } from './start-worker.ts';
import type { JobReports, JobRuns, WorkerDeps } from './start-worker.ts';
import { watchKeyPackagesJob } from './watch-key-packages.ts';

export const jobRuns: JobRuns = {
  'compact-messages': compactMessagesJob,
  'compact-events': compactEventsJob,
  'clean-key-packages': cleanKeyPackagesJob,
  'retire-devices': retireDevicesJob,
  'watch-key-packages': watchKeyPackagesJob,
  'clean-welcomes': cleanWelcomesJob,
  'clean-invites': cleanInvitesJob,
  'clean-chat-requests': cleanChatRequestsJob,
  'clean-device-additions': cleanDeviceAdditionsJob,
  'clean-replay-entries': cleanReplayEntriesJob,
  'clean-idempotency-keys': cleanIdempotencyKeysJob,
  'clean-reports': cleanReportsJob,
  'clean-audit-events': cleanAuditEventsJob,
};

export interface WorkersDeps extends WorkerDeps, JobReports {
  /** The URL of Postgres, not of PgBouncer, because the job queue may use LISTEN. */
  readonly databaseUrl: string;
  /** Defaults to the schedules of the catalogue. */
  readonly schedules?: JobSchedules;
  /** Defaults to `jobRuns`. */
  readonly runs?: JobRuns;
}

/** Starts a worker for every job. `close` stops taking jobs and waits for running jobs. */
export async function startWorkers(
  deps: WorkersDeps,
): Promise<{ readonly queue: JobQueue['queue']; close(): Promise<void> }> {
  const { logger, schedules } = deps;
  const optional = schedules === undefined ? {} : { schedules };
  const onError = (error: unknown): void =>
    logger.log('background_failed', { part: 'worker', ...describeError(error) });
  const queue = await openJobQueue({
    location: queueLocationOf(deps.config, deps.databaseUrl),
    clock: deps.clock,
    leaseMs: deps.config.JOB_LEASE_MS,
    onError,
    ...optional,
  });
  try {
    const maintenance = await startWorker(queue, { runs: deps.runs ?? jobRuns, onError, ...optional }, deps);
    return {
      queue: queue.queue,
      async close() {
        await maintenance.stop();
        await queue.close();
      },
    };
  } catch (error) {
    await queue.close();
    throw error;
  }
}

/**
 * Starts the parts of a worker process. Adds the stop step of each part to the front of `steps`, so that the last part
 * to start is the first to stop.
 */
async function start(config: Config, logger: Logger, steps: StopStep[]): Promise<{ readonly adminPort: number }> {
  const clock = systemClock;
  const startedMs = clock.monotonicMs();
  const optional = config.DATABASE_DIRECT_URL ?? config.DATABASE_URL;
  const embedded =
    optional === undefined
      ? await startEmbeddedPostgres({ dataDir: config.DATA_DIR, clock, access: 'borrow' })
      : undefined;
  if (embedded !== undefined) steps.unshift({ name: 'postgres', run: () => embedded.stop() });
  const databaseUrl = optional ?? embedded?.url ?? '';
  const database = openDatabase({ url: databaseUrl, poolSize: 2, applicationName: 'nightjar-worker' });
  steps.unshift({ name: 'database', run: () => database.close() });
  await checkServer(database, { production: config.NODE_ENV === 'production' });
  await assertMigrated(database);
  const metrics = createMetrics({ methods: [], quotas: [], jobs: jobNames, retentionClasses: retentionClassNames });
  const admin = await startAdminListener({ port: config.WORKER_ADMIN_PORT, metrics });
  steps.unshift({ name: 'admin', run: () => admin.close() });
  const workers = await startWorkers({ databaseUrl, database, config, clock, logger, metrics });
  steps.unshift({ name: 'workers', run: () => workers.close() });
  if (config.ADMIN_KEY !== undefined) {
    admin.showJobs({ queue: workers.queue, key: config.ADMIN_KEY, isWritable: config.JOB_BOARD_WRITES });
  }
  logger.log('worker_started', { adminPort: admin.port, startupMs: clock.monotonicMs() - startedMs });
  return { adminPort: admin.port };
}

/** Runs the worker process until SIGTERM or SIGINT, and then waits for running jobs. */
async function main(): Promise<void> {
  const config = readConfig(process.env, factsOfThisProcess());
  removeSecrets(process.env);
  const format: LogFormat = config.LOG_FORMAT ?? (process.stdout.isTTY ? 'text' : 'json');
  const logger = createProcessLogger(format, config);
  const steps: StopStep[] = [];
  let isStopping = false;
  const stop = async (exitCode: number, signal: 'SIGINT' | 'SIGTERM' | 'other'): Promise<void> => {
    if (isStopping) return;
    isStopping = true;
    const startedMs = systemClock.monotonicMs();
    logger.log('worker_stopping', { signal });
    const result = await stopInOrder(steps, {
      clock: systemClock,
      timeoutMs: config.SHUTDOWN_TIMEOUT_MS,
      onFailure: (step) => console.error(`The step "${step}" did not stop in time or failed.`),
    });
    logger.log('worker_stopped', { tookMs: systemClock.monotonicMs() - startedMs });
    process.exit(result === 'clean' ? exitCode : 1);
  };
  process.once('SIGTERM', () => void stop(0, 'SIGTERM')).once('SIGINT', () => void stop(0, 'SIGINT'));
  // Prints only the code position of an error, because Node would print the message, which may contain data.
  process.on('uncaughtException', (error) => {
    report(error);
    // A transient error of the database does not stop the worker, because connections are opened again.
    if (!isTransientError(error)) void stop(1, 'other');
  });
  try {
    const { adminPort } = await start(config, logger, steps);
    if (format === 'text') console.info(startupSummary({ role: 'worker', config, adminPort }).join('\n'));
  } catch (error) {
    report(error);
    await stop(exitCodeOf(error), 'other');
  }
}

/**
 * Prints the message of an error for the operator. Prints only the code position of any other error, because its
 * message may contain data.
 */
function report(error: unknown): void {
  console.error(operatorMessage(error) ?? describeError(error));
}

if (import.meta.main)
  await main().catch((error: unknown) => {
    report(error);
    process.exitCode = exitCodeOf(error);
  });
