import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '#platform/clock.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import type { Privacy } from '#privacy/privacy.ts';
import { openDatabase } from '#storage/connection/database.ts';
import type { Database } from '#storage/connection/database.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';
import { freePort } from '#storage/embedded-postgres/postgres-process.ts';
import { startLoopbackPlc } from '../test/support/network/loopback-plc.ts';
import type { LoopbackPlc } from '../test/support/network/loopback-plc.ts';

/** A server in a separate process on a durable Postgres, with the connections and keys that a measurement needs. */
export interface BenchServer {
  readonly serverPort: number;
  readonly serviceDid: string;
  readonly databaseUrl: string;
  readonly database: Database;
  readonly privacy: Privacy;
  readonly plc: LoopbackPlc;
  close(): Promise<void>;
}

const root = fileURLToPath(new URL('..', import.meta.url));
const startTimeoutMs = 30_000;
/** A rate limit so high that no quota limits a measurement. */
const noLimit = '1000000';

export async function startBenchServer(): Promise<BenchServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'nightjar-bench-'));
  const embedded = await startEmbeddedPostgres({ dataDir, clock: systemClock });
  const plc = await startLoopbackPlc();
  const identityKey = newKeyRingText();
  const serverPort = await freePort();
  const server = startServerProcess({ dataDir, databaseUrl: embedded.url, plcUrl: plc.url, identityKey, serverPort });
  const database = openDatabase({
    url: embedded.url,
    poolSize: 8,
    applicationName: 'nightjar-bench',
    purpose: 'maintenance',
  });
  const close = async (): Promise<void> => {
    await stopProcess(server);
    await database.close();
    await plc.close();
    await embedded.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    await untilHealthy(serverPort);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    serverPort,
    serviceDid: `did:web:localhost%3A${serverPort}`,
    databaseUrl: embedded.url,
    database,
    privacy: createPrivacy(parseKeyRing(identityKey)),
    plc,
    close,
  };
}

function startServerProcess(settings: {
  dataDir: string;
  databaseUrl: string;
  plcUrl: string;
  identityKey: string;
  serverPort: number;
}): ChildProcess {
  const limits = Object.keys(process.env).filter((name) => name.startsWith('RATE_LIMIT_'));
  const env = {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !limits.includes(name))),
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
    RATE_LIMIT_IP_PER_MINUTE: noLimit,
    RATE_LIMIT_IP_BURST: '10000',
    RATE_LIMIT_IP_NETWORK_PER_MINUTE: noLimit,
    RATE_LIMIT_IP_NETWORK_BURST: '10000',
    RATE_LIMIT_SEND_MESSAGE: noLimit,
    RATE_LIMIT_GET_MESSAGES: noLimit,
    RATE_LIMIT_SUBSCRIBE: noLimit,
    RATE_LIMIT_DID_DEFAULT: noLimit,
  };
  return spawn(process.execPath, ['src/main.ts', 'server'], {
    cwd: root,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

async function untilHealthy(port: number): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + startTimeoutMs;
  while (systemClock.monotonicMs() < deadlineMs) {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    if (response?.ok === true) return;
    await systemClock.sleep(50);
  }
  throw new Error('The server did not respond in time.');
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await exited;
}
