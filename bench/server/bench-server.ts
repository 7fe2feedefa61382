import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#platform/clock.ts';
import { required } from '#platform/errors.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import type { Privacy } from '#privacy/privacy.ts';
import { openDatabase } from '#storage/connection/database.ts';
import type { Database } from '#storage/connection/database.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';
import { freePort } from '#storage/embedded-postgres/postgres-process.ts';
import { startLoopbackPlc } from '../../test/support/network/loopback-plc.ts';
import type { LoopbackPlc } from '../../test/support/network/loopback-plc.ts';
import { rateLimitNames } from './checkout.ts';
import type { Checkout } from './checkout.ts';
import { parentOf } from './process-cost.ts';

/** Settings of a server by the names of their environment variables. */
export type ServerSettings = Readonly<Record<string, string>>;

/** The server of one checkout in a process of its own, on a durable Postgres of its own. */
export interface BenchServer {
  readonly checkout: Checkout;
  readonly serverPort: number;
  readonly serviceDid: string;
  readonly databaseUrl: string;
  readonly database: Database;
  readonly privacy: Privacy;
  readonly plc: LoopbackPlc;
  /** The server's process. */
  readonly pid: number;
  /** The first process of Postgres, which is the parent of all others. */
  readonly postgresPid: number;
  /** Stops the server process and starts another one. @returns the seconds until it was ready. */
  restart(): Promise<number>;
  close(): Promise<void>;
}

const startTimeoutMs = 30_000;
const readyPollMs = 10;
/** A rate limit so high that no quota limits a measurement. */
const noLimit = '1000000';
const noBurstLimit = '10000';

/** @param added settings in addition to those of every measured server. */
export async function startBenchServer(checkout: Checkout, added: ServerSettings = {}): Promise<BenchServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'nightjar-bench-'));
  const embedded = await startEmbeddedPostgres({ dataDir, clock: systemClock });
  const plc = await startLoopbackPlc();
  const identityKey = newKeyRingText();
  const serverPort = await freePort();
  const databaseUrl = checkout.isCurrent ? embedded.localUrl : embedded.url;
  const settings = { dataDir, databaseUrl, plcUrl: plc.url, identityKey, serverPort };
  const database = openDatabase({
    url: embedded.url,
    poolSize: 8,
    applicationName: 'nightjar-bench',
    purpose: 'maintenance',
  });
  const environment = { ...(await environmentOf(checkout, settings)), ...added };
  const start = (): ChildProcess =>
    spawn(process.execPath, [...v8OptionsOf(checkout.folder), 'src/main.ts', 'server'], {
      cwd: checkout.folder,
      env: environment,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  let child = start();
  const close = async (): Promise<void> => {
    await stopProcess(child);
    await database.close();
    await plc.close();
    await embedded.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    await untilReady(serverPort);
    const [backend] = await database.sql<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
    const postgresPid = required(await parentOf(required(backend, 'a row').pid), 'the process of Postgres');
    return {
      checkout,
      serverPort,
      serviceDid: `did:web:localhost%3A${serverPort}`,
      databaseUrl: embedded.url,
      database,
      privacy: createPrivacy(parseKeyRing(identityKey)),
      plc,
      get pid() {
        return required(child.pid, 'the id of the server process');
      },
      postgresPid,
      async restart() {
        await stopProcess(child);
        const startedMs = performance.now();
        child = start();
        await untilReady(serverPort);
        return (performance.now() - startedMs) / 1_000;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Returns the V8 options with which `npm run server` of the checkout starts Node. */
function v8OptionsOf(folder: string): readonly string[] {
  const { scripts } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    scripts: Readonly<Record<string, string>>;
  };
  return scripts['server']?.match(/--max-\S+/g) ?? [];
}

/** Returns the setting of the C library's allocator with which the systemd unit of the checkout starts the server. */
function allocatorSettingOf(folder: string): NodeJS.ProcessEnv {
  const unit = readFileSync(join(folder, 'docs/deployment/nightjar-server.service'), 'utf8');
  const areas = /^Environment=MALLOC_ARENA_MAX=(\d+)$/m.exec(unit)?.[1];
  return areas === undefined ? {} : { MALLOC_ARENA_MAX: areas };
}

async function environmentOf(
  checkout: Checkout,
  settings: {
    dataDir: string;
    databaseUrl: string;
    plcUrl: string;
    identityKey: string;
    serverPort: number;
  },
): Promise<NodeJS.ProcessEnv> {
  const limits = (await rateLimitNames(checkout)).map((name): [string, string] => [
    name,
    name.endsWith('_BURST') ? noBurstLimit : noLimit,
  ]);
  const environment = { ...process.env };
  for (const name of Object.keys(environment)) if (name.startsWith('RATE_LIMIT_')) delete environment[name];
  return {
    ...environment,
    ...allocatorSettingOf(checkout.folder),
    DATA_DIR: settings.dataDir,
    DATABASE_URL: settings.databaseUrl,
    MIGRATE_ON_START: 'true',
    PLC_URL: settings.plcUrl,
    IDENTITY_ALLOW_PRIVATE_NETWORK: 'true',
    BLOCK_CHECKS: 'false',
    IDENTITY_KEY: settings.identityKey,
    SERVER_PORT: String(settings.serverPort),
    ADMIN_PORT: '0',
    LOG_LEVEL: 'warn',
    ...Object.fromEntries(limits),
  };
}

async function untilReady(port: number): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + startTimeoutMs;
  while (systemClock.monotonicMs() < deadlineMs) {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    if (response?.ok === true) return;
    await systemClock.sleep(readyPollMs);
  }
  throw new Error('The server did not respond in time.');
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}
