import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { newSecret } from '#platform/ids.ts';
import { giveToOwnerOf } from './data-dir-lock.ts';
import { EmbeddedPostgresError } from './embedded-postgres-error.ts';
import type { PostgresBinaries } from './postgres-binaries.ts';
import type { LaunchPlan } from './privileges.ts';

/** The absolute paths and the password of one embedded database. */
export interface Cluster {
  readonly dataDir: string;
  readonly clusterDir: string;
  readonly logFile: string;
  readonly password: string;
}

interface Creation {
  readonly binaries: PostgresBinaries;
  readonly plan: LaunchPlan;
  readonly durability: 'crash-safe' | 'fast';
}

const run = promisify(execFile);

/** Returns the paths and the password of the database, and creates a password if there is none. */
export async function openCluster(dataDir: string): Promise<Cluster> {
  const cluster = await readCluster(dataDir);
  if (cluster.password !== '') return cluster;
  const path = passwordPath(dataDir);
  await writeFile(path, newSecret(24).toString('base64url'), { mode: 0o600 });
  await giveToOwnerOf(dataDir, path);
  return readCluster(dataDir);
}

/** Returns the paths and the password of the database. The password is empty if none was created. */
export async function readCluster(dataDir: string): Promise<Cluster> {
  const text = await readFile(passwordPath(dataDir), 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  });
  return {
    dataDir,
    clusterDir: join(dataDir, 'postgres'),
    logFile: join(dataDir, 'postgres.log'),
    password: text.trim(),
  };
}

function passwordPath(dataDir: string): string {
  return join(dataDir, 'postgres.password');
}

/**
 * Returns whether `clusterDir` contains no database.
 * @throws EmbeddedPostgresError when it contains a database of another major version, or cannot be read.
 */
export async function hasNoDatabase(clusterDir: string, binaries: PostgresBinaries): Promise<boolean> {
  let written: string;
  try {
    written = (await readFile(join(clusterDir, 'PG_VERSION'), 'utf8')).trim();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return true;
    throw new EmbeddedPostgresError(
      `The folder ${clusterDir} belongs to another user. Run as that user, or set DATA_DIR.`,
      { cause: error },
    );
  }
  const { stdout } = await run(binaries.postgres, ['--version'], { env: { LC_ALL: 'C' } });
  const major = /\s(\d+)/.exec(stdout)?.[1];
  if (written === major) return false;
  throw new EmbeddedPostgresError(
    `The data in ${clusterDir} were written by Postgres ${written}; this one is ${major}. Set DATA_DIR to a new folder.`,
  );
}

/**
 * Creates the database in a temporary folder and renames it, so that an interrupted creation leaves no partial
 * database.
 */
export async function createCluster(cluster: Cluster, { binaries, plan, durability }: Creation): Promise<void> {
  const temporaryDir = `${cluster.clusterDir}.new`;
  const passwordFile = join(temporaryDir, 'password');
  const folder = join(temporaryDir, 'data');
  await rm(temporaryDir, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(passwordFile, cluster.password, { mode: 0o600 });
  if (plan.account !== undefined) {
    const { uid, gid } = plan.account;
    for (const path of [temporaryDir, folder, passwordFile]) await chown(path, uid, gid);
  }
  const { file, args, account } = plan.launch(binaries.initdb, [
    '-D',
    folder,
    '--username=nightjar',
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-instructions',
    ...(durability === 'fast' ? ['--no-sync'] : []),
  ]);
  try {
    await run(file, args, { cwd: '/', env: { LC_ALL: 'C', TZ: 'UTC' }, ...account });
  } catch (error) {
    throw new EmbeddedPostgresError(`The embedded Postgres could not be created. ${errorText(error)}`, {
      cause: error,
    });
  }
  await chmod(folder, 0o700);
  await rename(folder, cluster.clusterDir);
  await rm(temporaryDir, { recursive: true, force: true });
}

function errorText(error: unknown): string {
  const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
  return `${stderr}\nSet DATABASE_URL to use a Postgres of your own.`;
}

/** Returns the URL of `database`, with the password. `host` is an address or the folder of a socket. */
export function databaseUrl(
  cluster: Cluster,
  { host, port }: { host: string; port: number },
  database: string,
): string {
  return `postgres://nightjar:${cluster.password}@${encodeURIComponent(host)}:${port}/${database}`;
}
