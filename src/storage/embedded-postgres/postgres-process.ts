import { spawn } from 'node:child_process';
import { open, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import type { Clock } from '#platform/clock.ts';
import { EmbeddedPostgresError } from './embedded-postgres-error.ts';
import { postgres } from '../connection/postgres-driver.ts';
import type { Launch } from './privileges.ts';
import { identifyProcess } from './process-identity.ts';

/** A live Postgres, ours by birth or found running. */
export interface PostgresProcess {
  readonly pid: number;
  readonly port: number;
  readonly startMark: string;
}

/** The lines of `postmaster.pid` that matter. */
interface PidFile {
  readonly pid: number;
  readonly port: number;
  readonly isReady: boolean;
}

const pollMs = 20;
const recoveryTimeoutMs = 120_000;
const fastStopTimeoutMs = 10_000;
const hardStopTimeoutMs = 5_000;

/**
 * The Postgres that runs on `clusterDir`, waiting while it starts, recovers or stops.
 * @throws EmbeddedPostgresError when one is alive but answers neither way.
 */
export async function findRunning(
  clusterDir: string,
  password: string,
  clock: Clock,
): Promise<PostgresProcess | undefined> {
  const giveUpAtMs = clock.monotonicMs() + recoveryTimeoutMs;
  for (;;) {
    const file = await readPidFile(clusterDir);
    const found = file === undefined ? undefined : await identifyProcess(file.pid);
    if (file === undefined || found === undefined) return undefined;
    if (basename(found.command[0] ?? '') !== 'postgres' || !found.command.includes(clusterDir)) return undefined;
    if (file.isReady && (await serves(clusterDir, file.port, password))) {
      return { pid: file.pid, port: file.port, startMark: found.startMark };
    }
    if (clock.monotonicMs() > giveUpAtMs) {
      throw new EmbeddedPostgresError(
        `Postgres process ${file.pid} runs on ${clusterDir} but does not answer. Stop it with: kill -INT ${file.pid}`,
      );
    }
    await clock.sleep(pollMs * 5);
  }
}

/**
 * Starts `launch` apart from our terminal, so that Ctrl-C reaches us and not it, and waits until it serves.
 * @returns undefined when the port was taken meanwhile.
 * @throws EmbeddedPostgresError pointing at the log when Postgres does not come up.
 */
export async function startProcess(
  launch: Launch,
  place: { readonly clusterDir: string; readonly logFile: string; readonly port: number },
  clock: Clock,
): Promise<PostgresProcess | undefined> {
  await disownPidFile(place.clusterDir);
  const logStart = await sizeOf(place.logFile);
  const log = await open(place.logFile, 'a', 0o600);
  let failed = false;
  try {
    const child = spawn(launch.file, launch.args, {
      detached: true,
      cwd: '/',
      env: { LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', log.fd, log.fd],
      ...launch.account,
    });
    child.once('error', () => (failed = true));
    child.once('exit', () => (failed = true));
    child.unref();
    const giveUpAtMs = clock.monotonicMs() + recoveryTimeoutMs;
    while (!failed && clock.monotonicMs() < giveUpAtMs) {
      const file = await readPidFile(place.clusterDir);
      const found = file?.pid === child.pid && file?.isReady ? await identifyProcess(file.pid) : undefined;
      if (file !== undefined && found !== undefined)
        return { pid: file.pid, port: place.port, startMark: found.startMark };
      await clock.sleep(pollMs);
    }
    if (child.pid !== undefined && !failed) process.kill(child.pid, 'SIGQUIT');
  } finally {
    await log.close();
  }
  const said = (await readFile(place.logFile, 'utf8')).slice(logStart);
  if (said.includes('could not create any TCP/IP sockets')) return undefined;
  throw new EmbeddedPostgresError(
    `The embedded Postgres did not start. Its log is ${place.logFile} and ends with:\n${said.trimEnd().split('\n').slice(-5).join('\n')}`,
  );
}

/** Fast shutdown: sessions are cut, data is flushed. Harder signals follow only when that takes too long. */
export async function stopProcess(running: PostgresProcess, clock: Clock): Promise<void> {
  const steps = [
    ['SIGINT', fastStopTimeoutMs],
    ['SIGQUIT', hardStopTimeoutMs],
    ['SIGKILL', hardStopTimeoutMs],
  ] as const;
  for (const [signal, patienceMs] of steps) {
    if (!(await isAlive(running))) return;
    process.kill(running.pid, signal);
    const giveUpAtMs = clock.monotonicMs() + patienceMs;
    while (clock.monotonicMs() < giveUpAtMs) {
      if (!(await isAlive(running))) return;
      await clock.sleep(pollMs);
    }
  }
  throw new EmbeddedPostgresError(`The embedded Postgres (process ${running.pid}) cannot be stopped.`);
}

/** Asks for a fast shutdown without waiting, for the last moment of our own process. */
export function interruptNow(running: PostgresProcess): void {
  try {
    process.kill(running.pid, 'SIGINT');
  } catch {
    // It has ended already.
  }
}

/** A TCP port of loopback that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}

async function isAlive(running: PostgresProcess): Promise<boolean> {
  return (await identifyProcess(running.pid))?.startMark === running.startMark;
}

async function readPidFile(clusterDir: string): Promise<PidFile | undefined> {
  let text: string;
  try {
    text = await readFile(join(clusterDir, 'postmaster.pid'), 'latin1');
  } catch {
    return undefined;
  }
  const lines = text.split('\n').map((line) => line.trim());
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return { pid, port: Number(lines[3]), isReady: lines[7] === 'ready' };
}

/**
 * A reused process id makes Postgres believe that it runs already. It takes the id of its own parent for stale, and
 * then still looks for a living one by the shared memory that the other lines name, which deleting the file would skip.
 */
async function disownPidFile(clusterDir: string): Promise<void> {
  const stale = await readPidFile(clusterDir);
  if (stale === undefined) return;
  const path = join(clusterDir, 'postmaster.pid');
  const text = await readFile(path, 'latin1');
  await writeFile(path, text.replace(/^\s*\d+/, String(process.pid)), 'latin1');
}

async function serves(clusterDir: string, port: number, password: string): Promise<boolean> {
  const sql = postgres({
    host: '127.0.0.1',
    port,
    user: 'nightjar',
    password,
    database: 'postgres',
    max: 1,
    connect_timeout: 2,
    fetch_types: false,
    onnotice: () => undefined,
  });
  try {
    const [row] = await sql<{ data_directory: string }[]>`show data_directory`;
    return row !== undefined && (await realpath(row.data_directory)) === (await realpath(clusterDir));
  } catch {
    return false;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0;
  }
}
