import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, readFile, realpath, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import type { Clock } from '#platform/clock.ts';
import { newSecret } from '#platform/ids.ts';
import { claimDataDir, DataDirBusyError, giveToOwnerOf } from './data-dir-claim.ts';
import type { DataDirClaim } from './data-dir-claim.ts';
import { findPostgresBinaries } from './postgres-binaries.ts';
import type { PostgresBinaries } from './postgres-binaries.ts';
import { findRunning, freePort, startProcess, stopProcess } from './postgres-process.ts';
import type { PostgresProcess } from './postgres-process.ts';
import { postgresSettings } from './postgres-settings.ts';
import { planLaunch } from './privileges.ts';
import type { LaunchPlan } from './privileges.ts';

export interface EmbeddedPostgresOptions {
  /** Holds the database, its password and its log; created when missing. */
  readonly dataDir: string;
  readonly clock: Clock;
  /** `crash-safe` (the default), or `fast` for tests that never pull the plug. */
  readonly durability?: 'crash-safe' | 'fast';
  /** `own`: refuse a folder in use. `borrow`: use the Postgres of the Nightjar that runs there, and leave it running. */
  readonly access?: 'own' | 'borrow';
  /** Called before the one step that takes seconds, the creation of the database. */
  readonly onCreate?: () => void;
}

export interface EmbeddedPostgres {
  /** Of the database `nightjar`, with its password. */
  readonly url: string;
  readonly port: number;
  readonly mode: 'created' | 'started' | 'adopted' | 'borrowed';
  /** Stops Postgres (unless borrowed) and gives the folder up; waits until the process is gone. */
  stop(): Promise<void>;
}

interface Cluster {
  readonly dataDir: string;
  readonly clusterDir: string;
  readonly logFile: string;
  readonly password: string;
}

interface Means {
  readonly binaries: PostgresBinaries;
  readonly plan: LaunchPlan;
  readonly options: EmbeddedPostgresOptions;
}

const run = promisify(execFile);
const logSizeBytesMax = 1_048_576;
const portAttempts = 5;
const borrowTimeoutMs = 60_000;

/**
 * Runs a real Postgres on `dataDir`: creates it once, adopts one that a killed Nightjar left behind, starts it otherwise.
 * Works as root (Postgres then runs under another account) and as an ordinary user.
 * @throws DataDirBusyError when another live Nightjar owns the folder.
 * @throws Error saying what to do when this machine cannot run it.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  await mkdir(resolve(options.dataDir), { recursive: true, mode: 0o700 });
  const dataDir = await realpath(options.dataDir);
  const giveUpAtMs = options.clock.monotonicMs() + borrowTimeoutMs;
  for (;;) {
    try {
      const claim = await claimDataDir(dataDir, options.clock);
      return await runClaimed(dataDir, claim, options);
    } catch (error) {
      if (!(error instanceof DataDirBusyError) || options.access !== 'borrow') throw error;
      if (options.clock.monotonicMs() > giveUpAtMs) throw error;
    }
    const borrowed = await borrowRunning(dataDir, options.clock);
    if (borrowed !== undefined) return borrowed;
    // Its owner is creating or stopping it, or died since.
    await options.clock.sleep(100);
  }
}

async function runClaimed(dataDir: string, claim: DataDirClaim, options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  try {
    const cluster = await openCluster(dataDir);
    const binaries = await findPostgresBinaries();
    const { clusterDir } = cluster;
    const plan = await planLaunch({ binariesFolder: binaries.folder, program: binaries.postgres, dataDir, clusterDir });
    const isNew = await isUnborn(clusterDir, binaries);
    if (isNew) {
      options.onCreate?.();
      await createCluster(cluster, { binaries, plan, options });
    }
    const found = await findRunning(clusterDir, cluster.password, options.clock);
    const running = found ?? (await launchCluster(cluster, { binaries, plan, options }));
    return await served(cluster, running, {
      mode: isNew ? 'created' : found === undefined ? 'started' : 'adopted', claim, clock: options.clock,
    });
  } catch (error) {
    await claim.release();
    throw error;
  }
}

async function served(
  cluster: Cluster,
  running: PostgresProcess,
  held: { readonly mode: EmbeddedPostgres['mode']; readonly claim: DataDirClaim; readonly clock: Clock },
): Promise<EmbeddedPostgres> {
  // When the process ends without stop(), for example by an uncaught error, Postgres must not stay behind.
  const stopOnExit = (): void => void process.kill(running.pid, 'SIGINT');
  process.once('exit', stopOnExit);
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await stopProcess(running, held.clock);
    process.removeListener('exit', stopOnExit);
    await held.claim.release();
  };
  try {
    await createDatabase(cluster, running.port);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: urlOf(cluster, running.port, 'nightjar'), port: running.port, mode: held.mode, stop: () => (stopped ??= stop()),
  };
}

async function borrowRunning(dataDir: string, clock: Clock): Promise<EmbeddedPostgres | undefined> {
  const cluster = await readCluster(dataDir);
  const running = await findRunning(cluster.clusterDir, cluster.password, clock);
  if (running === undefined) return undefined;
  return {
    url: urlOf(cluster, running.port, 'nightjar'), port: running.port, mode: 'borrowed', stop: () => Promise.resolve(),
  };
}

/** Makes a password for a database that is yet to be created. */
async function openCluster(dataDir: string): Promise<Cluster> {
  const known = await readCluster(dataDir);
  if (known.password !== '') return known;
  const path = passwordPath(dataDir);
  await writeFile(path, newSecret(24).toString('base64url'), { mode: 0o600 });
  await giveToOwnerOf(dataDir, path);
  return readCluster(dataDir);
}

/** The password is empty when none was written yet. */
async function readCluster(dataDir: string): Promise<Cluster> {
  const text = await readFile(passwordPath(dataDir), 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  });
  return { dataDir, clusterDir: join(dataDir, 'postgres'), logFile: join(dataDir, 'postgres.log'), password: text.trim() };
}

function passwordPath(dataDir: string): string {
  return join(dataDir, 'postgres.password');
}

/**
 * Whether there is no database in `clusterDir` yet.
 * @throws Error when there is one, but of another major version.
 */
async function isUnborn(clusterDir: string, binaries: PostgresBinaries): Promise<boolean> {
  let written: string;
  try {
    written = (await readFile(join(clusterDir, 'PG_VERSION'), 'utf8')).trim();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return true;
    throw new Error(`The folder ${clusterDir} belongs to another user. Run as that user, or set DATA_DIR.`, { cause: error });
  }
  const { stdout } = await run(binaries.postgres, ['--version'], { env: { LC_ALL: 'C' } });
  const major = /\s(\d+)/.exec(stdout)?.[1];
  if (written === major) return false;
  throw new Error(`The data in ${clusterDir} were written by Postgres ${written}; this one is ${major}. Set DATA_DIR to a new folder.`);
}

/** Creates the database aside and renames it into place, so that a killed creation leaves nothing half done. */
async function createCluster(cluster: Cluster, { binaries, plan, options }: Means): Promise<void> {
  const aside = `${cluster.clusterDir}.new`;
  const passwordFile = join(aside, 'password');
  const folder = join(aside, 'data');
  await rm(aside, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(passwordFile, cluster.password, { mode: 0o600 });
  if (plan.account !== undefined) {
    const { uid, gid } = plan.account;
    for (const path of [aside, folder, passwordFile]) await chown(path, uid, gid);
  }
  const { file, args, account } = plan.launch(binaries.initdb, [
    '-D', folder, '--username=nightjar', `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C',
    '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--no-instructions',
    ...(options.durability === 'fast' ? ['--no-sync'] : []),
  ]);
  try {
    await run(file, args, { cwd: '/', env: { LC_ALL: 'C', TZ: 'UTC' }, ...account });
  } catch (error) {
    throw new Error(`The embedded Postgres could not be created. ${complaint(error)}`, { cause: error });
  }
  await chmod(folder, 0o700);
  await rename(folder, cluster.clusterDir);
  await rm(aside, { recursive: true, force: true });
}

function complaint(error: unknown): string {
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
  return `${said}\nSet DATABASE_URL to use a Postgres of your own.`;
}

async function launchCluster(cluster: Cluster, { binaries, plan, options }: Means): Promise<PostgresProcess> {
  await shortenLog(cluster.logFile);
  for (let attempt = 0; attempt < portAttempts; attempt++) {
    const port = await freePort();
    const settings = postgresSettings(port, options.durability ?? 'crash-safe');
    const launch = plan.launch(binaries.postgres, ['-D', cluster.clusterDir, ...settings.flatMap((setting) => ['-c', setting])]);
    const running = await startProcess(launch, { clusterDir: cluster.clusterDir, logFile: cluster.logFile, port }, options.clock);
    if (running !== undefined) {
      await giveToOwnerOf(cluster.dataDir, cluster.logFile);
      return running;
    }
  }
  throw new Error('The embedded Postgres found no free port on 127.0.0.1. Set DATABASE_URL to use a Postgres of your own.');
}

async function shortenLog(path: string): Promise<void> {
  const text = await readFile(path).catch(() => undefined);
  if (text !== undefined && text.length > logSizeBytesMax) await truncate(path, 0);
}

async function createDatabase(cluster: Cluster, port: number): Promise<void> {
  const sql = postgres(urlOf(cluster, port, 'postgres'), { max: 1, fetch_types: false, onnotice: () => undefined });
  try {
    const found = await sql`select 1 from pg_database where datname = 'nightjar'`;
    if (found.length === 0) await sql`create database nightjar`;
  } finally {
    await sql.end({ timeout: 5 });
  }
}

function urlOf(cluster: Cluster, port: number, database: string): string {
  return `postgres://nightjar:${cluster.password}@127.0.0.1:${port}/${database}`;
}
