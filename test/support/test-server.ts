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

/** The real server in this process, on free ports. */
export interface TestServer extends RunningServer {
  /** Everything it logged, at level trace. */
  readonly logLines: readonly string[];
  /** As SIGTERM does. */
  stop(): Promise<'clean' | 'unclean'>;
}

export interface TestServerOptions {
  readonly databaseUrl: string;
  readonly plcUrl: string;
  /** Two servers on one database need the same; default: a new one. */
  readonly identityKey?: string;
  /** Settings that differ from those of tests. */
  readonly env?: Environment;
  /** Default: the system's. */
  readonly clock?: Clock;
}

/** Shared by all test servers, so that a token or ticket is good for each of them. */
const serviceDid = 'did:web:nightjar.test';
const plenty = '1000000';
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

/** The settings of a server that answers tests: loopback only, quotas that nothing here reaches. */
export function testEnvironment(options: Pick<TestServerOptions, 'plcUrl'>): Environment {
  return {
    NODE_ENV: 'test',
    SERVER_PORT: '0',
    ADMIN_PORT: '0',
    SERVICE_DID: serviceDid,
    PLC_URL: options.plcUrl,
    IDENTITY_ALLOW_PRIVATE_NETWORK: 'true',
    // Nobody here has a PDS unless a test starts one.
    BLOCK_CHECKS: 'false',
    ...Object.fromEntries(quotaNames.map((name) => [name, plenty])),
    RATE_LIMIT_IP_BURST: '10000',
    RATE_LIMIT_IP_NETWORK_BURST: '10000',
    AUTH_BAN_AFTER_FAILURES: '0',
    // Far more at once than any test asks, also on a machine that is late.
    MAX_REQUESTS_IN_PROGRESS: '100000',
    // Tests that look at rows settle by hand.
    SETTLE_INTERVAL_SECONDS: '3600',
  };
}

export async function startTestServer(options: TestServerOptions): Promise<TestServer> {
  const config = readConfig({
    ...testEnvironment(options),
    DATABASE_URL: options.databaseUrl,
    IDENTITY_KEY: options.identityKey ?? newKeyRingText(),
    // A shared count goes by the database's clock, which nobody moves.
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
    return { ...server, logLines, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Servers on one new database, a directory of DIDs, and people with accounts. */
export interface TestBed {
  readonly database: TestDatabase;
  readonly plc: LoopbackPlc;
  readonly identityKey: string;
  readonly servers: readonly TestServer[];
  /** The server with this index; the first without one. */
  server(index?: number): TestServer;
  account(options?: AccountOptions): Account;
  /** A client for one account on the server with this index; a new account unless one is given. */
  client(options?: { account?: Account; server?: number }): XrpcClient;
  stop(): Promise<void>;
}

/** Without a `database` it makes one of its own; either way stopping the bed closes it. */
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
