import { preparePartitions } from '#domain/events/prepare-partitions.ts';
import type { Clock } from '#platform/clock.ts';
import type { Config } from '#platform/config/config.ts';
import type { Logger } from '#platform/logging/logger.ts';
import type { StopStep } from '#platform/process/shutdown.ts';
import { checkServer } from '#storage/connection/check-server.ts';
import { openDatabase } from '#storage/connection/database.ts';
import type { Database } from '#storage/connection/database.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';
import { assertMigrated, migrateUp } from '#storage/schema/migrator.ts';

export interface StorageDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Receives the stop steps of the database, and of the embedded Postgres if this process started it. */
  readonly steps: StopStep[];
  readonly poolSize: number;
  /** Whether another process has prepared the storage: it runs the embedded Postgres and has applied the migrations. */
  readonly isPrepared: boolean;
}

export interface OpenStorage {
  readonly database: Database;
  /** The direct URL of Postgres, without PgBouncer. */
  readonly databaseUrl: string;
  readonly isEmbedded: boolean;
  readonly migrationsApplied: number;
}

const applicationName = 'nightjar-server';

/**
 * Opens the database, after starting the embedded Postgres if there is no other, and applies migrations if the settings
 * say so.
 * @throws ConfigError, EmbeddedPostgresError with a message for the operator.
 */
export async function openStorage(deps: StorageDeps): Promise<OpenStorage> {
  const { config, clock, logger, steps } = deps;
  const startedMs = clock.monotonicMs();
  const given = config.DATABASE_DIRECT_URL ?? config.DATABASE_URL;
  const isEmbedded = given === undefined;
  const databaseUrl = given ?? (await openEmbeddedPostgres(deps));
  const database = openDatabase({ url: config.DATABASE_URL ?? databaseUrl, poolSize: deps.poolSize, applicationName });
  steps.unshift({ name: 'database', run: () => database.close() });
  const { versionMajor } = await checkServer(database, { production: config.NODE_ENV === 'production' });
  const migrate = !deps.isPrepared && (config.MIGRATE_ON_START ?? isEmbedded);
  const migrationsApplied = migrate ? await applyMigrations(logger, databaseUrl) : 0;
  await assertMigrated(database);
  const created = await preparePartitions(database, {
    messageTtlDays: config.MESSAGE_TTL_DAYS,
    eventTtlDays: config.EVENT_STREAM_TTL_DAYS,
  });
  if (created > 0) logger.log('partitions_created', { count: created });
  logger.log('postgres_ready', { versionMajor, tookMs: clock.monotonicMs() - startedMs });
  return { database, databaseUrl, isEmbedded, migrationsApplied };
}

/** Starts the embedded Postgres, or uses the one of the process that prepared the storage. Returns its URL. */
async function openEmbeddedPostgres({ config, clock, logger, steps, isPrepared }: StorageDeps): Promise<string> {
  const embedded = await startEmbeddedPostgres({
    dataDir: config.DATA_DIR,
    clock,
    access: isPrepared ? 'borrow' : 'own',
    // Creating the database takes seconds, so the event is logged before the creation begins.
    onCreate: () => logger.log('postgres_starting', { mode: 'created' }),
  });
  steps.unshift({ name: 'postgres', run: () => embedded.stop() });
  const { mode } = embedded;
  if (mode === 'started' || mode === 'adopted') logger.log('postgres_starting', { mode });
  return embedded.localUrl;
}

async function applyMigrations(logger: Logger, url: string): Promise<number> {
  const maintenance = openDatabase({ url, poolSize: 1, applicationName, purpose: 'maintenance' });
  try {
    const count = (await migrateUp(maintenance)).length;
    if (count > 0) logger.log('migrations_applied', { count });
    return count;
  } finally {
    await maintenance.close();
  }
}
