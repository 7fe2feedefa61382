import { execFile, execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { appendFile, chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { systemClock } from '#platform/clock.ts';
import { openDatabase } from '#storage/connection/database.ts';

const run = promisify(execFile);
const programs = '/usr/lib/postgresql/15/bin';

/** Whether Debian's package postgresql-15 is installed, and an account that can run it. */
export const hasDebianPostgres = existsSync(join(programs, 'pg_basebackup')) && canRun();

function canRun(): boolean {
  return process.getuid?.() !== 0 || accountOf() !== undefined;
}

/** Postgres refuses to run as root. */
function accountOf(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  try {
    const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'postgres'], { stdio: 'pipe' })));
    return uid === undefined || gid === undefined ? undefined : { uid, gid };
  } catch {
    return undefined;
  }
}

/** Runs the programs of Debian's Postgres 15 in a temporary folder for clusters, dumps and archived WAL. */
export class DebianPostgres {
  readonly folder: string;
  readonly #running = new Set<ChildProcess>();

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(): Promise<DebianPostgres> {
    const folder = await mkdtemp(join(tmpdir(), 'nightjar-drill-'));
    await chmod(folder, 0o755);
    const account = accountOf();
    if (account !== undefined) await chown(folder, account.uid, account.gid);
    return new DebianPostgres(folder);
  }

  /** Runs a program, for example `pg_dump`, in the folder, as its owner. */
  async run(program: string, ...args: readonly string[]): Promise<string> {
    const { stdout } = await run(join(programs, program), args, {
      cwd: this.folder,
      env: { LC_ALL: 'C' },
      maxBuffer: 2 ** 30,
      ...accountOf(),
    });
    return stdout;
  }

  /** Creates an empty cluster `name`; `settings` are lines of postgresql.conf. */
  async create(name: string, settings: readonly string[] = []): Promise<void> {
    await this.run(
      'initdb',
      '-D',
      name,
      '-U',
      'nightjar',
      '--auth=trust',
      '--encoding=UTF8',
      '--no-locale',
      '--no-sync',
    );
    await this.configure(name, [
      'fsync = off',
      `listen_addresses = '127.0.0.1'`,
      `unix_socket_directories = ''`,
      ...settings,
    ]);
  }

  async configure(name: string, settings: readonly string[]): Promise<void> {
    await appendFile(join(this.folder, name, 'postgresql.conf'), settings.map((line) => `${line}\n`).join(''));
  }

  async makeFolder(name: string): Promise<string> {
    const path = join(this.folder, name);
    await mkdir(path);
    const account = accountOf();
    if (account !== undefined) await chown(path, account.uid, account.gid);
    return path;
  }

  /** Lets the copy of a cluster replay archived WAL to its end. */
  async recover(name: string, archive: string): Promise<void> {
    await this.configure(name, [`restore_command = 'cp ${archive}/%f %p'`]);
    await writeFile(join(this.folder, name, 'recovery.signal'), '');
  }

  /** Starts a cluster and waits until it accepts writes. @returns the URL of its database `postgres`. */
  async start(name: string): Promise<string> {
    const port = await freePort();
    const child = spawn(join(programs, 'postgres'), ['-D', name, '-p', String(port)], {
      cwd: this.folder,
      env: { LC_ALL: 'C' },
      stdio: 'ignore',
      ...accountOf(),
    });
    this.#running.add(child);
    const url = `postgres://nightjar@127.0.0.1:${port}/postgres`;
    await untilWritable(url, child);
    return url;
  }

  /** Stops every cluster and removes the folder. */
  async close(): Promise<void> {
    await Promise.all(
      [...this.#running].map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exited = once(child, 'exit');
        child.kill('SIGINT');
        await exited;
      }),
    );
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function untilWritable(url: string, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 300 && child.exitCode === null; attempt++) {
    const database = openDatabase({ url, poolSize: 1, applicationName: 'drill', purpose: 'maintenance' });
    try {
      const [row] = await database.sql<{ isStandby: boolean }[]>`SELECT pg_is_in_recovery() AS "isStandby"`;
      if (row?.isStandby === false) return;
    } catch {
      // The cluster does not listen yet or is starting.
    } finally {
      await database.close();
    }
    await systemClock.sleep(100);
  }
  throw new Error('the cluster did not start');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
