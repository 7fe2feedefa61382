import { createReplayDigest } from '#auth/replay-digest.ts';
import { createRefusedAccounts, refusedAccount } from '#auth/refuse-tokens.ts';
import { createReplayGuard } from '#auth/replay-guard.ts';
import type { ReplayGuard } from '#auth/replay-guard.ts';
import { readCursorGeneration } from '#domain/events/read-events.ts';
import { retentionClassNames } from '#domain/retention/retention-classes.ts';
import { loadFetchGuard } from '#identity/outbound/guarded-fetch.ts';
import { signatureBackend } from '#identity/signatures/signature.ts';
import { jobNames } from '#jobs/catalogue.ts';
import { startAdminListener } from '#ops/admin-listener.ts';
import type { AdminListener } from '#ops/admin-listener.ts';
import { createReadiness } from '#ops/readiness.ts';
import type { Readiness } from '#ops/readiness.ts';
import type { Clock } from '#platform/clock.ts';
import type { Config } from '#platform/config/config.ts';
import { describeError } from '#platform/logging/logger.ts';
import type { Logger } from '#platform/logging/logger.ts';
import { watchLoopDelay } from '#platform/metrics/loop-delay.ts';
import { createMetrics } from '#platform/metrics/metrics.ts';
import type { Metrics } from '#platform/metrics/metrics.ts';
import type { StopStep } from '#platform/process/shutdown.ts';
import { loadKeyRing } from '#privacy/load-key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import type { Privacy } from '#privacy/privacy.ts';
import { quotas } from '#quota/table/quotas.ts';
import { openDatabase } from '#storage/connection/database.ts';
import type { Database, Sql } from '#storage/connection/database.ts';
import { createLocalNotifier } from '#storage/notifications/notifier.ts';
import type { Notifier } from '#storage/notifications/notifier.ts';
import { createPostgresNotifier } from '#storage/notifications/postgres-notifier.ts';
import { checkIdentityKey, identityKeyOf } from '#storage/schema/identity-key-check.ts';
import { assertMigrated } from '#storage/schema/migrator.ts';
import { listenForKeyPackageChecks } from '#storage/notifications/key-package-checks.ts';
import { methodNames } from '#xrpc/mls/endpoints.ts';
import { createApp } from './app.ts';
import type { App } from './app.ts';
import { startBackgroundTasks } from './background-tasks.ts';
import { openDevelopmentIdentities } from './development-identities.ts';
import { listen } from './listen.ts';
import { openStorage } from './open-storage.ts';
import { auditKeyCheck, startAudit } from './start-audit.ts';
import { version } from '#platform/process/version.ts';

export interface RunningServer {
  /** The URL under which clients reach the server, without a path. */
  readonly url: string;
  readonly port: number;
  /** Undefined for one of several processes, because the parent process has the admin listener. */
  readonly admin: AdminListener | undefined;
  readonly serviceDid: string;
  /** The direct URL of Postgres, without PgBouncer, for the workers of this process. */
  readonly databaseUrl: string;
  readonly database: Database;
  readonly metrics: Metrics;
}

export interface ServerDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  /** `all` if the process runs the workers too; default: `server`. */
  readonly role?: 'all' | 'server';
  /**
   * Whether this process is one of several on the same port (`SERVER_PROCESSES`). Their parent has prepared the storage
   * and has the admin listener.
   */
  readonly isOneOfSeveral?: boolean;
  /**
   * Receives a stop step for each started part. The caller must run the steps in the order of the array, even after a
   * failed start.
   */
  readonly steps: StopStep[];
}

const applicationName = 'nightjar-server';

/**
 * Starts every part of a server, and resolves when the server can respond to requests.
 * @throws ConfigError, EmbeddedPostgresError, KeyRingError with a message for the operator.
 */
export async function startServer(deps: ServerDeps): Promise<RunningServer> {
  const { config, clock, logger } = deps;
  const startedMs = clock.monotonicMs();
  const { isOneOfSeveral = false } = deps;
  const storage = await openStorage({ ...deps, poolSize: config.DATABASE_POOL_SIZE, isPrepared: isOneOfSeveral });
  const { database, databaseUrl, isEmbedded, migrationsApplied } = storage;
  const audit = startAudit({ ...deps, sql: database.sql }, migrationsApplied);
  const metrics = openMetrics();
  const { ring, created } = await loadKeyRing({ identityKey: config.IDENTITY_KEY, dataDir: config.DATA_DIR });
  if (created) logger.log('development_keys_created', {});
  const privacy = createPrivacy(ring);
  await auditKeyCheck(audit, checkIdentityKey(database.sql, identityKeyOf(privacy)));
  const isOnlyServer = isEmbedded && !isOneOfSeveral;
  const { notifier, direct } = await openNotifier(deps, { database, databaseUrl, isOnlyServer });
  const replayGuard = await openReplayGuard(deps, database, privacy);
  const development = await openDevelopmentIdentities(deps, database.sql);
  const cursorGeneration = await readCursorGeneration(database);
  const readiness = readinessOf(database, clock);

  const host = config.SERVER_HOST ?? (config.NODE_ENV === 'production' ? '0.0.0.0' : '127.0.0.1');
  const { listener, app } = await listen({ host, port: config.SERVER_PORT, clock, logger, config }, (port) =>
    createApp({
      config,
      clock,
      logger,
      metrics,
      database,
      ring,
      privacy,
      notifier,
      replayGuard,
      readiness,
      cursorGeneration,
      audit,
      version,
      development,
      ...identityOf(config, host, port),
    }),
  );
  deps.steps.unshift(
    { name: 'readiness', run: async () => readiness.drain() },
    { name: 'listener', run: () => listener.stop() },
    { name: 'tail', run: () => app.tail.stop() },
  );
  await watchKeyPackages(deps, direct, app);
  const admin = await openOperations(deps, { app, database, metrics, privacy, isEmbedded });
  if (admin !== undefined) {
    const startupMs = clock.monotonicMs() - startedMs;
    logger.log('server_listening', { port: listener.port, adminPort: admin.port, startupMs });
  }
  // The guard is loaded in the background so that the first fetch of a DID document does not wait for it. A failure is
  // ignored here, because the first fetch reports it again.
  loadFetchGuard().catch(() => undefined);
  const { serviceDid, publicUrl: url } = identityOf(config, host, listener.port);
  await development?.noteServiceDid(serviceDid);
  return { url, port: listener.port, admin, serviceDid, databaseUrl, database, metrics };
}

function readinessOf(database: Database, clock: Clock): Readiness {
  return createReadiness({
    clock,
    database: () => database.sql`SELECT 1`,
    migrations: () => assertMigrated(database),
  });
}

function openMetrics(): Metrics {
  return createMetrics({
    methods: methodNames,
    quotas: Object.keys(quotas),
    jobs: jobNames,
    retentionClasses: retentionClassNames,
  });
}

function identityOf(config: Config, host: string, port: number): { serviceDid: string; publicUrl: string } {
  const localUrl = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  return {
    serviceDid: config.SERVICE_DID ?? `did:web:localhost%3A${port}`,
    publicUrl: config.PUBLIC_URL ?? hostOfDid(config) ?? localUrl,
  };
}

async function openReplayGuard(deps: ServerDeps, database: Database, privacy: Privacy): Promise<ReplayGuard> {
  const replayGuard = createReplayGuard({
    sql: database.sql,
    clock: deps.clock,
    ttlSeconds: deps.config.JTI_TTL_SECONDS,
    digest: createReplayDigest(privacy),
    account: createRefusedAccounts(privacy, deps.config.DID_CACHE_ENTRIES),
  });
  await replayGuard.ensureRecord();
  return replayGuard;
}

/** Returns the public URL that the did:web gives in production, where its host is the public name of the proxy. */
function hostOfDid({ NODE_ENV, SERVICE_DID }: Config): string | undefined {
  const [, host] = /^did:web:([^:]+)$/.exec(SERVICE_DID ?? '') ?? [];
  return NODE_ENV === 'production' && host !== undefined ? `https://${decodeURIComponent(host)}` : undefined;
}

async function openOperations(
  deps: ServerDeps,
  parts: { app: App; database: Database; metrics: Metrics; privacy: Privacy; isEmbedded: boolean },
): Promise<AdminListener | undefined> {
  const { config, clock, logger, steps } = deps;
  const { app, database, metrics, privacy } = parts;
  metrics.signatureBackend(signatureBackend);
  logger.log('signature_backend', { backend: signatureBackend });
  const backgroundTasks = startBackgroundTasks({
    database,
    privacy,
    refusedAccount: (did) => refusedAccount(privacy, did),
    applyIntervalSeconds: config.SETTLE_INTERVAL_SECONDS,
    removesOldWal: parts.isEmbedded,
    clock,
    logger,
    metrics,
    applicationName,
    messageTtlDays: config.MESSAGE_TTL_DAYS,
    eventTtlDays: config.EVENT_STREAM_TTL_DAYS,
    openStreams: app.openStreams,
  });
  steps.splice(2, 0, { name: 'backgroundTasks', run: () => backgroundTasks.stop() });
  const loopDelay = watchLoopDelay(clock, (delayMs) => app.admission.noteLoopDelay(delayMs));
  steps.splice(2, 0, { name: 'loop-delay', run: () => loopDelay.stop() });
  if (deps.isOneOfSeveral === true) return undefined;
  const admin = await startAdminListener({ port: config.ADMIN_PORT, metrics });
  steps.splice(2, 0, { name: 'admin', run: () => admin.close() });
  return admin;
}

/**
 * Opens the notifier. A single server process with an embedded Postgres is the only server, so local notifications are
 * enough.
 */
async function openNotifier(
  deps: ServerDeps,
  options: { database: Database; databaseUrl: string; isOnlyServer: boolean },
): Promise<{ notifier: Notifier; direct: Sql }> {
  if (options.isOnlyServer) return { notifier: createLocalNotifier(), direct: options.database.sql };
  const direct = openDatabase({ url: options.databaseUrl, poolSize: 1, applicationName: 'nightjar-notifier' });
  const notifier = await createPostgresNotifier({
    direct: direct.sql,
    clock: deps.clock,
    onError: (error) => deps.logger.log('background_failed', { part: 'notifier', ...describeError(error) }),
  });
  deps.steps.unshift({
    name: 'notifier',
    run: async () => {
      await notifier.close();
      await direct.close();
    },
  });
  return { notifier, direct: direct.sql };
}

async function watchKeyPackages({ steps }: ServerDeps, direct: Sql, { keyPackageWatch }: App): Promise<void> {
  const listener = await listenForKeyPackageChecks(direct, () => keyPackageWatch.checkEveryone());
  steps.splice(2, 0, {
    name: 'key-package-watch',
    async run() {
      keyPackageWatch.stop();
      await listener.close();
    },
  });
}
