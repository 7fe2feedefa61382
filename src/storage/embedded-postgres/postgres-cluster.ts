import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { newSecret } from '#platform/ids.ts';
import { giveToOwnerOf } from './data-dir-lock.ts';
import { EmbeddedPostgresError } from './embedded-postgres-error.ts';
import type { PostgresBinaries } from './postgres-binaries.ts';
import type { LaunchPlan } from './privileges.ts';

/** The files of one embedded database. All paths are absolute. */
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

/** Makes a password for a database that is yet to be created. */
export async function openCluster(dataDir: string): Promise<Cluster> {
  const known = await readCluster(dataDir);
  if (known.password !== '') return known;
  const path = passwordPath(dataDir);
  await writeFile(path, newSecret(24).toString('base64url'), { mode: 0o600 });
  await giveToOwnerOf(dataDir, path);
  return readCluster(dataDir);
}

/** The password is empty when none was written yet. */
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
 * Whether there is no database in `clusterDir` yet.
 * @throws EmbeddedPostgresError when there is one, but of another major version.
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

/** Creates the database aside and renames it into place, so that a killed creation leaves nothing half done. */
export async function createCluster(cluster: Cluster, { binaries, plan, durability }: Creation): Promise<void> {
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
    throw new EmbeddedPostgresError(`The embedded Postgres could not be created. ${complaint(error)}`, {
      cause: error,
    });
  }
  await chmod(folder, 0o700);
  await rename(folder, cluster.clusterDir);
  await rm(aside, { recursive: true, force: true });
}

function complaint(error: unknown): string {
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
  return `${said}\nSet DATABASE_URL to use a Postgres of your own.`;
}

/** Where `database` of `cluster` is reached, with its password. */
export function databaseUrl(cluster: Cluster, port: number, database: string): string {
  return `postgres://nightjar:${cluster.password}@127.0.0.1:${port}/${database}`;
}
