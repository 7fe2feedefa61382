import { mkdir, realpath, stat, truncate } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Clock } from '#platform/clock.ts';
import { lockDataDir, DataDirBusyError, giveToOwnerOf } from './data-dir-lock.ts';
import type { DataDirLock } from './data-dir-lock.ts';
import { EmbeddedPostgresError } from './embedded-postgres-error.ts';
import { findPostgresBinaries } from './postgres-binaries.ts';
import type { PostgresBinaries } from './postgres-binaries.ts';
import { findRunning, freePort, requestFastShutdown, startProcess, stopProcess } from './postgres-process.ts';
import type { PostgresProcess } from './postgres-process.ts';
import { createCluster, databaseUrl, hasNoDatabase, openCluster, readCluster } from './postgres-cluster.ts';
import type { Cluster } from './postgres-cluster.ts';
import { postgres } from '../connection/postgres-driver.ts';
import { postgresSettings } from './postgres-settings.ts';
import { planLaunch } from './privileges.ts';
import type { LaunchPlan } from './privileges.ts';

export interface EmbeddedPostgresOptions {
  /** The folder of the database, its password and its log, which is created if it is missing. */
  readonly dataDir: string;
  readonly clock: Clock;
  /** `crash-safe` is the default. `fast` is for tests that do not simulate a power failure. */
  readonly durability?: 'crash-safe' | 'fast';
  /**
   * `own` refuses a folder that is in use. `borrow` uses the Postgres of the process that has locked the folder, and
   * does not stop it.
   */
  readonly access?: 'own' | 'borrow';
  /** Called before the database is created, which takes seconds. */
  readonly onCreate?: () => void;
}

export interface EmbeddedPostgres {
  /** The URL of the database `nightjar` over TCP, with its password. */
  readonly url: string;
  /**
   * The URL over the socket of Postgres, which costs less than TCP (docs/decisions/0026). Equal to `url` when the path
   * of DATA_DIR is too long for a socket.
   */
  readonly localUrl: string;
  readonly port: number;
  readonly mode: 'created' | 'started' | 'adopted' | 'borrowed';
  /** Stops Postgres unless it is borrowed, releases the folder, and resolves when Postgres has ended. */
  stop(): Promise<void>;
}

interface LaunchDeps {
  readonly binaries: PostgresBinaries;
  readonly plan: LaunchPlan;
  readonly options: EmbeddedPostgresOptions;
}

const logSizeBytesMax = 1_048_576;
const loopback = '127.0.0.1';
const portAttempts = 5;
const borrowTimeoutMs = 60_000;

/**
 * Starts the Postgres of `dataDir`, creates it the first time, or adopts it if a killed process left it running. When
 * the current user is root, Postgres runs as another user.
 * @throws DataDirBusyError when another live process has locked the folder.
 * @throws EmbeddedPostgresError with the remedy when this machine cannot run Postgres.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const dataDir = await makeDataDir(resolve(options.dataDir));
  const timeoutAtMs = options.clock.monotonicMs() + borrowTimeoutMs;
  for (;;) {
    try {
      const lock = await lockDataDir(dataDir, options.clock);
      return await runLocked(dataDir, lock, options);
    } catch (error) {
      if (!(error instanceof DataDirBusyError) || options.access !== 'borrow') throw error;
      if (options.clock.monotonicMs() > timeoutAtMs) throw error;
    }
    const borrowed = await borrowRunning(dataDir, options.clock);
    if (borrowed !== undefined) return borrowed;
    // The owner of the folder may still be creating or stopping the database.
    await options.clock.sleep(100);
  }
}

/**
 * Creates the folder. Folders that root creates get the owner of their parent folder, who can then run the service
 * without root.
 */
async function makeDataDir(path: string): Promise<string> {
  const outermostMade = await mkdir(path, { recursive: true, mode: 0o700 });
  if (outermostMade !== undefined) {
    const around = dirname(outermostMade);
    for (let made = path; made !== around; made = dirname(made)) await giveToOwnerOf(around, made);
  }
  return realpath(path);
}

async function runLocked(
  dataDir: string,
  lock: DataDirLock,
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  try {
    const cluster = await openCluster(dataDir);
    const binaries = await findPostgresBinaries();
    const { clusterDir } = cluster;
    const plan = await planLaunch({ binariesFolder: binaries.folder, program: binaries.postgres, dataDir, clusterDir });
    const isNew = await hasNoDatabase(clusterDir, binaries);
    if (isNew) {
      options.onCreate?.();
      await createCluster(cluster, { binaries, plan, durability: options.durability ?? 'crash-safe' });
    }
    const found = await findRunning(clusterDir, cluster.password, options.clock);
    const running = found ?? (await launchCluster(cluster, { binaries, plan, options }));
    return await describeRunning(cluster, running, {
      mode: isNew ? 'created' : found === undefined ? 'started' : 'adopted',
      lock,
      clock: options.clock,
    });
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function describeRunning(
  cluster: Cluster,
  running: PostgresProcess,
  context: { readonly mode: EmbeddedPostgres['mode']; readonly lock: DataDirLock; readonly clock: Clock },
): Promise<EmbeddedPostgres> {
  // If the process ends without `stop`, for example by an uncaught error, Postgres must stop too.
  const stopOnExit = (): void => requestFastShutdown(running);
  process.once('exit', stopOnExit);
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await stopProcess(running, context.clock);
    process.removeListener('exit', stopOnExit);
    await context.lock.release();
  };
  try {
    await createDatabase(cluster, running.port);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    ...urlsOf(cluster, running),
    port: running.port,
    mode: context.mode,
    stop: () => (stopped ??= stop()),
  };
}

function urlsOf(cluster: Cluster, { port, socketFolder }: PostgresProcess): { url: string; localUrl: string } {
  const url = databaseUrl(cluster, { host: loopback, port }, 'nightjar');
  if (socketFolder === undefined) return { url, localUrl: url };
  return { url, localUrl: databaseUrl(cluster, { host: socketFolder, port }, 'nightjar') };
}

async function borrowRunning(dataDir: string, clock: Clock): Promise<EmbeddedPostgres | undefined> {
  const cluster = await readCluster(dataDir);
  const running = await findRunning(cluster.clusterDir, cluster.password, clock);
  if (running === undefined) return undefined;
  return {
    ...urlsOf(cluster, running),
    port: running.port,
    mode: 'borrowed',
    stop: () => Promise.resolve(),
  };
}

async function launchCluster(cluster: Cluster, { binaries, plan, options }: LaunchDeps): Promise<PostgresProcess> {
  await truncateLog(cluster.logFile);
  for (let attempt = 0; attempt < portAttempts; attempt++) {
    const port = await freePort();
    const settings = postgresSettings(cluster.clusterDir, port, options.durability ?? 'crash-safe');
    const launch = plan.launch(binaries.postgres, [
      '-D',
      cluster.clusterDir,
      ...settings.flatMap((setting) => ['-c', setting]),
    ]);
    const running = await startProcess(
      launch,
      { clusterDir: cluster.clusterDir, logFile: cluster.logFile },
      options.clock,
    );
    if (running !== undefined) {
      await giveToOwnerOf(cluster.dataDir, cluster.logFile);
      return running;
    }
  }
  throw new EmbeddedPostgresError(
    'The embedded Postgres found no free port on 127.0.0.1. Set DATABASE_URL to use a Postgres of your own.',
  );
}

async function truncateLog(path: string): Promise<void> {
  const sizeBytes = await stat(path).then(
    ({ size }) => size,
    () => 0,
  );
  if (sizeBytes > logSizeBytesMax) await truncate(path, 0);
}

async function createDatabase(cluster: Cluster, port: number): Promise<void> {
  const sql = postgres(databaseUrl(cluster, { host: loopback, port }, 'postgres'), {
    max: 1,
    fetch_types: false,
    onnotice: () => undefined,
  });
  try {
    const found = await sql`select 1 from pg_database where datname = 'nightjar'`;
    if (found.length === 0) await sql`create database nightjar`;
  } finally {
    await sql.end({ timeout: 5 });
  }
}
