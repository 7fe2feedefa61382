import { systemClock } from '#platform/clock.ts';
import type { Clock } from '#platform/clock.ts';
import { readConfig } from '#platform/config/config.ts';
import { createLogger } from '#platform/logging/logger.ts';
import { stopInOrder } from '#platform/process/shutdown.ts';
import type { StopStep } from '#platform/process/shutdown.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { startServer } from '../../src/server/start-server.ts';
import type { RunningServer } from '../../src/server/start-server.ts';
import { createAccount } from './clients/account.ts';
import type { Account, AccountOptions } from './clients/account.ts';
import { createTestDatabase } from './postgres/database.ts';
import type { TestDatabase } from './postgres/database.ts';
import { startLoopbackPlc } from './network/loopback-plc.ts';
import type { LoopbackPlc } from './network/loopback-plc.ts';
import { createXrpcClient } from './clients/xrpc-client.ts';
import type { XrpcClient } from './clients/xrpc-client.ts';

type Environment = Readonly<Record<string, string>>;

/** The real server, in this process and on free ports. */
export interface TestServer extends RunningServer {
  readonly adminPort: number;
  /** All log lines, at level trace. */
  readonly logLines: readonly string[];
  /** Stops the server as SIGTERM does. */
  stop(): Promise<'clean' | 'unclean'>;
}

export interface TestServerOptions {
  readonly databaseUrl: string;
  readonly plcUrl: string;
  /** Two servers on one database need the same key; default: a new key. */
  readonly identityKey?: string;
  /** Settings that override those of `testEnvironment`. */
  readonly env?: Environment;
  /** Default: the system clock. */
  readonly clock?: Clock;
}

/** Shared by all test servers, so that each of them accepts the same tokens and tickets. */
const serviceDid = 'did:web:nightjar.test';
const unreachableQuota = '1000000';
const quotaNames = [
  'RATE_LIMIT_IP_PER_MINUTE',
  'RATE_LIMIT_IP_NETWORK_PER_MINUTE',
  'RATE_LIMIT_FAILED_AUTH_PER_MINUTE',
  'RATE_LIMIT_SEND_MESSAGE',
  'RATE_LIMIT_PUBLISH_KEY_PACKAGE',
  'RATE_LIMIT_ADD_MEMBERS',
  'RATE_LIMIT_COMMIT',
  'RATE_LIMIT_REMOVE_MEMBER',
  'RATE_LIMIT_CREATE_CONVO',
  'RATE_LIMIT_REPORT_MEMBER',
  'RATE_LIMIT_REGISTER_DEVICE',
  'RATE_LIMIT_CHECK_BLOCKS',
  'RATE_LIMIT_SEND_CHAT_REQUEST',
  'RATE_LIMIT_GET_MESSAGES',
  'RATE_LIMIT_PENDING_ADDITIONS',
  'RATE_LIMIT_SYNC_KEY_PACKAGES',
  'RATE_LIMIT_SUBSCRIBE',
  'RATE_LIMIT_EXTERNAL_COMMIT',
  'RATE_LIMIT_DID_KIB_PER_MINUTE',
  'RATE_LIMIT_CONVO_KIB_PER_MINUTE',
  'RATE_LIMIT_TARGET_KEY_PACKAGES_PER_HOUR',
  'RATE_LIMIT_TARGET_KEY_PACKAGES_PER_CALLER_HOUR',
  'RATE_LIMIT_DID_DEFAULT',
];

/** The settings of test servers: loopback only, and quotas that no test reaches. */
export function testEnvironment(options: Pick<TestServerOptions, 'plcUrl'>): Environment {
  return {
    NODE_ENV: 'test',
    SERVER_PORT: '0',
    ADMIN_PORT: '0',
    SERVICE_DID: serviceDid,
    PLC_URL: options.plcUrl,
    IDENTITY_ALLOW_PRIVATE_NETWORK: 'true',
    // Without a PDS, which only some tests start.
    BLOCK_CHECKS: 'false',
    ...Object.fromEntries(quotaNames.map((name) => [name, unreachableQuota])),
    RATE_LIMIT_IP_BURST: '10000',
    RATE_LIMIT_IP_NETWORK_BURST: '10000',
    AUTH_BAN_AFTER_FAILURES: '0',
    // Far more concurrent requests than any test sends, also on a slow machine.
    MAX_REQUESTS_IN_PROGRESS: '100000',
    // Tests that read rows apply deferred writes themselves.
    SETTLE_INTERVAL_SECONDS: '3600',
  };
}

export async function startTestServer(options: TestServerOptions): Promise<TestServer> {
  const config = readConfig({
    ...testEnvironment(options),
    DATABASE_URL: options.databaseUrl,
    IDENTITY_KEY: options.identityKey ?? newKeyRingText(),
    // A shared count uses the database's clock, which tests cannot change.
    ...(options.clock === undefined ? {} : { QUOTA_STORE: 'memory' }),
    ...options.env,
  });
  const logLines: string[] = [];
  const logger = createLogger('trace', { write: (line) => void logLines.push(line) });
  const steps: StopStep[] = [];
  const failures: string[] = [];
  const stop = (): Promise<'clean' | 'unclean'> =>
    stopInOrder(steps, { clock: systemClock, timeoutMs: 10_000, onFailure: (step) => void failures.push(step) });
  try {
    const server = await startServer({ config, clock: options.clock ?? systemClock, logger, steps });
    return { ...server, adminPort: server.admin?.port ?? 0, logLines, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Servers on one new database, a DID directory, and accounts. */
export interface TestBed {
  readonly database: TestDatabase;
  readonly plc: LoopbackPlc;
  readonly identityKey: string;
  readonly servers: readonly TestServer[];
  /** Returns the server with this index; default: the first. */
  server(index?: number): TestServer;
  account(options?: AccountOptions): Account;
  /** Creates a client for an account (default: a new one) on the server with this index. */
  client(options?: { account?: Account; server?: number }): XrpcClient;
  stop(): Promise<void>;
}

/** Starts servers on `database` (default: a new one). Stopping the test bed closes the database. */
export async function startTestBed(
  options: { servers?: number; env?: Environment; database?: TestDatabase } = {},
): Promise<TestBed> {
  const database = options.database ?? (await createTestDatabase({ poolSize: 4 }));
  const plc = await startLoopbackPlc();
  const identityKey = newKeyRingText();
  const servers: TestServer[] = [];
  for (let index = 0; index < (options.servers ?? 1); index++) {
    const { env = {} } = options;
    servers.push(await startTestServer({ databaseUrl: database.url, plcUrl: plc.url, identityKey, env }));
  }
  const server = (index = 0): TestServer => {
    const found = servers[index];
    if (found === undefined) throw new RangeError('there is no such server');
    return found;
  };
  const account = (accountOptions?: AccountOptions): Account => createAccount(plc, accountOptions);
  return {
    database,
    plc,
    identityKey,
    servers,
    server,
    account,
    client: (of = {}) => createXrpcClient({ server: server(of.server), account: of.account ?? account() }),
    async stop() {
      await Promise.all(servers.map((each) => each.stop()));
      await plc.close();
      await database.close();
    },
  };
}
