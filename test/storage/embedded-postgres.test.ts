import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import postgres from 'postgres';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { openDatabase } from '#storage/connection/database.ts';
import { DataDirBusyError } from '#storage/embedded-postgres/data-dir-lock.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';
import type { EmbeddedPostgres, EmbeddedPostgresOptions } from '#storage/embedded-postgres/embedded-postgres.ts';
import { identifyProcess } from '#storage/embedded-postgres/process-identity.ts';

const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function newFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'nightjar-embedded-')));
  cleanUps.push(async () => {
    // A failed test may leave a Postgres running, which could not be found without its folder.
    const pid = await postmasterPid(folder).catch(() => undefined);
    if (pid !== undefined && (await identifyProcess(pid)) !== undefined) process.kill(pid, 'SIGQUIT');
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  return folder;
}

async function start(dataDir: string, more: Partial<EmbeddedPostgresOptions> = {}): Promise<EmbeddedPostgres> {
  const embedded = await startEmbeddedPostgres({ dataDir, clock: systemClock, durability: 'fast', ...more });
  cleanUps.push(() => embedded.stop());
  return embedded;
}

async function query(url: string, text: string): Promise<readonly unknown[]> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  try {
    return [...(await sql.unsafe(text))];
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Queries with a pool of the service, which connects to sockets. */
async function queryPool(url: string, text: string): Promise<readonly unknown[]> {
  const database = openDatabase({ url, poolSize: 1, applicationName: 'embedded-test' });
  try {
    return [...(await database.sql.unsafe(text))];
  } finally {
    await database.close();
  }
}

async function postmasterPid(dataDir: string): Promise<number> {
  return Number((await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0]);
}

async function untilGone(pid: number): Promise<void> {
  for (let waited = 0; (await identifyProcess(pid)) !== undefined; waited++) {
    if (waited > 500) throw new Error(`process ${pid} is still there`);
    await systemClock.sleep(20);
  }
}

async function startChild(dataDir: string, ending: 'stop' | 'exit'): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('./embedded-child.ts', import.meta.url)), dataDir, ending],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  cleanUps.push(async () => {
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await once(child, 'exit');
  });
  const [line] = await once(createInterface(child.stdout), 'line');
  const { url } = JSON.parse(String(line)) as { url: string };
  return { child, url };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

describe('the embedded Postgres', () => {
  test('is created once, keeps its data, and leaves no process when stopped', async () => {
    const dataDir = join(await newFolder(), 'made', 'on', 'demand');
    const first = await start(dataDir);
    expect(first.mode).toBe('created');
    await query(first.url, "create table kept (word text); insert into kept values ('safe')");
    const pid = await postmasterPid(dataDir);
    await Promise.all([first.stop(), first.stop()]);
    expect(await identifyProcess(pid)).toBeUndefined();

    const second = await start(dataDir);
    expect(second.mode).toBe('started');
    expect(await query(second.url, 'select word from kept')).toEqual([{ word: 'safe' }]);
  });

  test('is adopted with its data after its owner is killed, and stopped by the new owner', async () => {
    const dataDir = await newFolder();
    const { child, url } = await startChild(dataDir, 'stop');
    await query(url, "create table kept (word text); insert into kept values ('safe')");
    const pid = await postmasterPid(dataDir);
    await end(child, 'SIGKILL');
    expect(await identifyProcess(pid)).toBeDefined();

    const newOwner = await start(dataDir);
    expect(newOwner.mode).toBe('adopted');
    expect(await postmasterPid(dataDir)).toBe(pid);
    expect(await query(newOwner.url, 'select word from kept')).toEqual([{ word: 'safe' }]);
    await newOwner.stop();
    expect(await identifyProcess(pid)).toBeUndefined();
  });

  test.each(['stop', 'exit'] as const)('ends with its owner on SIGTERM (%s)', async (ending) => {
    const dataDir = await newFolder();
    const { child } = await startChild(dataDir, ending);
    const pid = await postmasterPid(dataDir);
    await end(child, 'SIGTERM');
    expect(child.exitCode).toBe(ending === 'stop' ? 0 : 3);
    await untilGone(pid);
    expect((await start(dataDir)).mode).toBe('started');
  });

  test('recovers after kill -9 of Postgres and its owner together', async () => {
    const dataDir = await newFolder();
    const { child, url } = await startChild(dataDir, 'stop');
    await query(url, "create table kept (word text); insert into kept values ('safe')");
    const pid = await postmasterPid(dataDir);
    process.kill(pid, 'SIGKILL');
    await end(child, 'SIGKILL');
    await untilGone(pid);
    const next = await start(dataDir);
    expect(next.mode).toBe('started');
    expect(await query(next.url, 'select word from kept')).toEqual([{ word: 'safe' }]);
  });

  test('refuses a second owner, admits a borrower, and is not stopped by the borrower', async () => {
    const dataDir = await newFolder();
    const { child, url } = await startChild(dataDir, 'stop');
    await expect(start(dataDir)).rejects.toThrow(DataDirBusyError);
    await expect(start(dataDir)).rejects.toThrow(`process ${child.pid}`);
    const borrowed = await start(dataDir, { access: 'borrow' });
    expect(borrowed).toMatchObject({ mode: 'borrowed', url });
    await borrowed.stop();
    expect(await query(url, 'select 1 as alive')).toEqual([{ alive: 1 }]);
  });

  test('is owned by exactly one of several that start at once on one folder', async () => {
    const dataDir = await newFolder();
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => start(dataDir)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(DataDirBusyError);
    }
  });

  test('is started and stopped by a borrower when there is no owner', async () => {
    const dataDir = await newFolder();
    const borrower = await start(dataDir, { access: 'borrow' });
    expect(borrower.mode).toBe('created');
    const pid = await postmasterPid(dataDir);
    await borrower.stop();
    expect(await identifyProcess(pid)).toBeUndefined();
  });

  test('starts although its old process id belongs to another program', async () => {
    const dataDir = await newFolder();
    const first = await start(dataDir);
    const pidFile = join(dataDir, 'postgres', 'postmaster.pid');
    const lines = (await readFile(pidFile, 'utf8')).split('\n').slice(1);
    await first.stop();
    // The other process runs as the database's user: only then does Postgres take the process id for a running
    // Postgres.
    const { uid, gid } = await stat(join(dataDir, 'postgres'));
    const otherProcess = spawn('sleep', ['60'], { uid, gid, cwd: '/' });
    cleanUps.push(() => end(otherProcess, 'SIGKILL'));
    await writeFile(pidFile, [otherProcess.pid, ...lines].join('\n'), { mode: 0o600 });
    expect((await start(dataDir)).mode).toBe('started');
    expect(otherProcess.exitCode).toBeNull();
  });

  test('is created again after an interrupted creation', async () => {
    const dataDir = await newFolder();
    await mkdir(join(dataDir, 'postgres.new', 'data', 'base'), { recursive: true });
    await writeFile(join(dataDir, 'postgres.password'), '');
    await writeFile(join(dataDir, 'nightjar.pid.json'), '');
    expect((await start(dataDir)).mode).toBe('created');
  });

  test('does not change data of another major version', async () => {
    const dataDir = await newFolder();
    await mkdir(join(dataDir, 'postgres'));
    await writeFile(join(dataDir, 'postgres', 'PG_VERSION'), '14\n');
    await expect(start(dataDir)).rejects.toThrow('written by Postgres 14');
  });

  test('requires the password, listens on loopback and in its own folder, and logs neither secrets nor data', async () => {
    const dataDir = await newFolder();
    const { url, localUrl } = await start(dataDir);
    const wrongUrl = new URL(url);
    wrongUrl.password = 'guess';
    await expect(query(wrongUrl.href, 'select 1')).rejects.toThrow('password');
    await query(url, 'create table once (name text primary key)');
    const twice = "insert into once values ('did:plc:alice'), ('did:plc:alice')";
    await expect(query(url, twice)).rejects.toThrow('duplicate');
    const [row] = await query(
      url,
      "select current_setting('listen_addresses') as at, current_setting('unix_socket_directories') as files",
    );
    const clusterDir = await realpath(join(dataDir, 'postgres'));
    expect(row).toEqual({ at: '127.0.0.1', files: clusterDir });
    expect((await stat(clusterDir)).mode & 0o777).toBe(0o700);
    const wrongLocalUrl = localUrl.replace(new URL(url).password, 'guess');
    await expect(queryPool(wrongLocalUrl, 'select 1')).rejects.toThrow('password');
    const log = await readFile(join(dataDir, 'postgres.log'), 'utf8');
    expect(log).toContain('ready to accept connections');
    expect(log).not.toContain('alice');
    expect(log).not.toContain(new URL(url).password);
    expect((await stat(join(dataDir, 'postgres.password'))).mode & 0o077).toBe(0);
  });

  const peer = 'select inet_client_addr() is null as "isLocal"';

  test('serves clients over a socket, and over TCP where the path is too long for a socket', async () => {
    const parent = await newFolder();
    const near = await start(join(parent, 'near'));
    expect(await queryPool(near.localUrl, peer)).toEqual([{ isLocal: true }]);
    expect(await queryPool(near.url, peer)).toEqual([{ isLocal: false }]);
    const borrowed = await startEmbeddedPostgres({
      dataDir: join(parent, 'near'),
      clock: systemClock,
      access: 'borrow',
    });
    expect(borrowed.localUrl).toBe(near.localUrl);
    const far = await start(join(parent, 'f'.repeat(100)));
    expect(far.localUrl).toBe(far.url);
    expect(await queryPool(far.localUrl, peer)).toEqual([{ isLocal: false }]);
  });

  test.runIf(process.getuid?.() === 0)('works as root inside a folder that only root can enter', async () => {
    const home = await newFolder();
    await chmod(home, 0o700);
    const dataDir = join(home, 'clone', '.data');
    const { url } = await start(dataDir);
    expect(await query(url, 'select 1 as alive')).toEqual([{ alive: 1 }]);
    const status = await readFile(`/proc/${await postmasterPid(dataDir)}/status`, 'utf8');
    expect(/^Uid:\s+(\d+)/m.exec(status)?.[1]).not.toBe('0');
    // Bit 2 is dac_read_search, bit 1 dac_override: the capability to enter the folder, and no other.
    expect(['0000000000000004', '0000000000000002']).toContain(/^CapEff:\s+(\w+)/m.exec(status)?.[1]);
  });
});
