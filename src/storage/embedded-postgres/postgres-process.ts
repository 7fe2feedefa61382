import { spawn } from 'node:child_process';
import { open, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import type { Clock } from '#platform/clock.ts';
import { EmbeddedPostgresError } from './embedded-postgres-error.ts';
import { postgres } from '../connection/postgres-driver.ts';
import type { Launch } from './privileges.ts';
import { identifyProcess } from './process-identity.ts';

/** Identifies a running Postgres. `startMark` distinguishes it from a later process with the same id. */
export interface PostgresProcess {
  readonly pid: number;
  readonly port: number;
  /** The folder of its socket, or undefined when it listens on TCP only. */
  readonly socketFolder: string | undefined;
  readonly startMark: string;
}

/** The fields of `postmaster.pid` that this file uses. */
interface PidFile {
  readonly pid: number;
  readonly port: number;
  readonly socketFolder: string | undefined;
  readonly isReady: boolean;
}

const pollMs = 20;
const recoveryTimeoutMs = 120_000;
const fastStopTimeoutMs = 10_000;
const hardStopTimeoutMs = 5_000;

/**
 * Finds the Postgres that runs on `clusterDir`, and waits while it is starting, recovering or stopping.
 * @throws EmbeddedPostgresError when Postgres is running but does not respond.
 */
export async function findRunning(
  clusterDir: string,
  password: string,
  clock: Clock,
): Promise<PostgresProcess | undefined> {
  const timeoutAtMs = clock.monotonicMs() + recoveryTimeoutMs;
  for (;;) {
    const file = await readPidFile(clusterDir);
    const found = file === undefined ? undefined : await identifyProcess(file.pid);
    if (file === undefined || found === undefined) return undefined;
    if (basename(found.command[0] ?? '') !== 'postgres' || !found.command.includes(clusterDir)) return undefined;
    if (file.isReady && (await acceptsConnections(clusterDir, file.port, password))) {
      return runningAs(file, found.startMark);
    }
    if (clock.monotonicMs() > timeoutAtMs) {
      throw new EmbeddedPostgresError(
        `Postgres process ${file.pid} runs on ${clusterDir} but does not answer. Stop it with: kill -INT ${file.pid}`,
      );
    }
    await clock.sleep(pollMs * 5);
  }
}

/**
 * Starts `launch` and waits until Postgres is ready. The process is detached from the terminal, so that Ctrl-C does not
 * stop it.
 * @returns undefined when another process has taken the port in the meantime.
 * @throws EmbeddedPostgresError with the end of the log when Postgres does not start.
 */
export async function startProcess(
  launch: Launch,
  location: { readonly clusterDir: string; readonly logFile: string },
  clock: Clock,
): Promise<PostgresProcess | undefined> {
  await replaceStalePid(location.clusterDir);
  const logStart = await sizeOf(location.logFile);
  const log = await open(location.logFile, 'a', 0o600);
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
    const timeoutAtMs = clock.monotonicMs() + recoveryTimeoutMs;
    while (!failed && clock.monotonicMs() < timeoutAtMs) {
      const file = await readPidFile(location.clusterDir);
      const found = file?.pid === child.pid && file?.isReady ? await identifyProcess(file.pid) : undefined;
      if (file !== undefined && found !== undefined) return runningAs(file, found.startMark);
      await clock.sleep(pollMs);
    }
    if (child.pid !== undefined && !failed) process.kill(child.pid, 'SIGQUIT');
  } finally {
    await log.close();
  }
  const logText = (await readFile(location.logFile, 'utf8')).slice(logStart);
  if (logText.includes('could not create any TCP/IP sockets')) return undefined;
  throw new EmbeddedPostgresError(
    `The embedded Postgres did not start. Its log is ${location.logFile} and ends with:\n${logText.trimEnd().split('\n').slice(-5).join('\n')}`,
  );
}

/**
 * Stops Postgres by a fast shutdown, which closes sessions and flushes data. A stronger signal follows if the process
 * has not ended within a timeout.
 */
export async function stopProcess(running: PostgresProcess, clock: Clock): Promise<void> {
  const steps = [
    ['SIGINT', fastStopTimeoutMs],
    ['SIGQUIT', hardStopTimeoutMs],
    ['SIGKILL', hardStopTimeoutMs],
  ] as const;
  for (const [signal, timeoutMs] of steps) {
    if (!(await isAlive(running))) return;
    process.kill(running.pid, signal);
    const timeoutAtMs = clock.monotonicMs() + timeoutMs;
    while (clock.monotonicMs() < timeoutAtMs) {
      if (!(await isAlive(running))) return;
      await clock.sleep(pollMs);
    }
  }
  throw new EmbeddedPostgresError(`The embedded Postgres (process ${running.pid}) cannot be stopped.`);
}

/** Requests a fast shutdown without waiting, because this process is ending. */
export function requestFastShutdown(running: PostgresProcess): void {
  try {
    process.kill(running.pid, 'SIGINT');
  } catch {
    // Postgres has already ended.
  }
}

/** Returns a TCP port of the loopback interface that was free when it was checked. */
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
  const socketFolder = lines[4] === '' ? undefined : lines[4];
  return { pid, port: Number(lines[3]), socketFolder, isReady: lines[7] === 'ready' };
}

function runningAs({ pid, port, socketFolder }: PidFile, startMark: string): PostgresProcess {
  return { pid, port, socketFolder, startMark };
}

/**
 * Replaces the process id in an old `postmaster.pid`, because Postgres does not start if another process got that id
 * after a reboot. The new id is that of this process, which Postgres ignores because it is the parent.
 */
async function replaceStalePid(clusterDir: string): Promise<void> {
  const stale = await readPidFile(clusterDir);
  if (stale === undefined) return;
  const path = join(clusterDir, 'postmaster.pid');
  const text = await readFile(path, 'latin1');
  // Without the file, Postgres would not check for another server that still uses the same shared memory.
  await writeFile(path, text.replace(/^\s*\d+/, String(process.pid)), 'latin1');
}

async function acceptsConnections(clusterDir: string, port: number, password: string): Promise<boolean> {
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
