import { retentionClassNames } from '#domain/retention/retention-classes.ts';
import { jobNames } from '#jobs/catalogue.ts';
import { startAdminListener } from '#ops/admin-listener.ts';
import type { AdminListener } from '#ops/admin-listener.ts';
import { startAuditLog } from '#ops/audit-log.ts';
import { describeError } from '#platform/logging/logger.ts';
import { joinSamples } from '#platform/metrics/join-samples.ts';
import { createMetrics } from '#platform/metrics/metrics.ts';
import type { Metrics } from '#platform/metrics/metrics.ts';
import type { Database, Sql } from '#storage/connection/database.ts';
import { openStorage } from './open-storage.ts';
import type { StorageDeps } from './open-storage.ts';
import { Supervisor } from './supervise-processes.ts';
import type { SupervisorDeps } from './supervise-processes.ts';

export interface RunningProcesses {
  /** The URL under which clients reach the service, without a path. */
  readonly url: string;
  readonly admin: AdminListener;
  /** The direct URL of Postgres, without PgBouncer, for the workers of this process. */
  readonly databaseUrl: string;
  readonly database: Database;
  readonly metrics: Metrics;
}

export type ProcessesDeps = Omit<StorageDeps, 'poolSize' | 'isPrepared'> & SupervisorDeps;

/** Connections of the parent, which serves no requests. */
const poolSize = 2;

/**
 * Prepares the storage, opens the admin listener and starts `SERVER_PROCESSES` server processes on one port. Resolves
 * when all listen.
 * @throws ProcessStartError, ConfigError, EmbeddedPostgresError with a message for the operator.
 */
export async function startProcesses(deps: ProcessesDeps): Promise<RunningProcesses> {
  const { config, clock, logger, steps } = deps;
  const startedMs = clock.monotonicMs();
  const { database, databaseUrl, migrationsApplied } = await openStorage({ ...deps, poolSize, isPrepared: false });
  if (migrationsApplied > 0) await recordMigrations(deps, database.sql, migrationsApplied);
  const metrics = createMetrics({ methods: [], quotas: [], jobs: jobNames, retentionClasses: retentionClassNames });
  const processes = new Supervisor(deps);
  const admin = await startAdminListener({
    port: config.ADMIN_PORT,
    metrics: {
      contentType: metrics.contentType,
      read: async () => joinSamples([await metrics.readSamples(), ...(await processes.readMetrics())]),
    },
  });
  steps.unshift({ name: 'admin', run: () => admin.close() });
  steps.unshift({ name: 'processes', run: (signal) => processes.stop(signal) });
  const { port, url } = await processes.start(config.SERVER_PROCESSES);
  logger.log('server_listening', {
    port,
    adminPort: admin.port,
    startupMs: clock.monotonicMs() - startedMs,
    processes: config.SERVER_PROCESSES,
  });
  return { url, admin, databaseUrl, database, metrics };
}

/** Records the applied migrations in the audit log, because the server processes apply none. */
async function recordMigrations({ config, clock, logger }: ProcessesDeps, sql: Sql, count: number): Promise<void> {
  const audit = startAuditLog({
    sql,
    clock,
    timeBucketSeconds: config.TIME_BUCKET_SECONDS,
    onError: (error) => logger.log('background_failed', { part: 'audit', ...describeError(error) }),
  });
  audit.record('migrations', 'applied', count);
  await audit.stop();
}
