import { formatConversationId } from '#domain/conversations/conversation.ts';
import { createConversation } from '#domain/conversations/create-conversation.ts';
import type { ClaimLimit } from '#domain/key-packages/claiming/claim-limit.ts';
import { keyPackageOwner, storedRef } from '#domain/key-packages/key-package.ts';
import { insertKeyPackages } from '#domain/key-packages/store.ts';
import { noBlockRecords } from '#identity/block-records/block-records.ts';
import type { BlockRecords } from '#identity/block-records/block-records.ts';
import { createMessageAppender } from '#domain/messages/message-appender.ts';
import type { MessageAppender } from '#domain/messages/message-appender.ts';
import { sendMessage } from '#domain/messages/send-message.ts';
import type { SentMessage } from '#domain/messages/message.ts';
import { keyPackageRef } from '#mls/key-packages/key-package-ref.ts';
import { systemClock } from '#platform/clock.ts';
import type { Clock } from '#platform/clock.ts';
import { AppError, required } from '#platform/errors.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { padToBucket } from '#privacy/buckets.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import type { Privacy } from '#privacy/privacy.ts';
import { openDatabase } from '#storage/connection/database.ts';
import type { Database, Db, Sql } from '#storage/connection/database.ts';
import { migrateUp } from '#storage/schema/migrator.ts';
import { createPartitionsAhead } from '#storage/expiry/partitions.ts';
import { randomPlcDid } from './clients/account.ts';
import { createTestDatabase } from './postgres/database.ts';
import type { TestDatabase } from './postgres/database.ts';

export const testSuite = 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519';
const testSuiteNumber = 1;

/** The dependencies of one server, with its own pool and appender; they fit the `deps` of every operation. */
export interface TestServer {
  readonly db: Db;
  readonly sql: Sql;
  readonly appender: MessageAppender;
  readonly privacy: Privacy;
  readonly clock: Clock;
  /** Without any blocks. */
  readonly blocks: BlockRecords;
  readonly timeBucketSeconds: number;
  readonly messageTtlDays: number;
  readonly eventTtlDays: number;
  readonly keyPackagesPerDeviceMax: number;
  readonly keyPackageTtlDays: number;
  readonly deviceWaitDays: number;
  readonly chatRequestTtlDays: number;
  readonly idempotencyTtlHours: number;
  /** Without a limit. */
  readonly claimLimit: ClaimLimit;
  /** False, because messages of these tests are random bytes. */
  readonly requireFraming: boolean;
  readonly handshakes: 'any';
  readonly onEvents: () => void;
  readonly onNewDevice: (deviceId: string) => void;
  readonly onClaims: () => void;
}

export interface TestConversation {
  readonly id: string;
  readonly groupId: Buffer;
  /** The creator, who is the admin, and the other members. */
  readonly dids: readonly string[];
  readonly creator: string;
}

/** One migrated database with partitions, and servers that use it. */
export interface DomainHarness {
  readonly database: TestDatabase;
  readonly privacy: Privacy;
  readonly server: TestServer;
  /** Another server on the same database, with `poolSize` connections. */
  addServer(poolSize?: number): TestServer;
  /** Creates a conversation at epoch 0 without a Welcome. */
  createConversation(dids: readonly string[]): Promise<TestConversation>;
  close(): Promise<void>;
}

export interface HarnessOptions {
  readonly poolSize?: number;
  readonly timeBucketSeconds?: number;
  /** URL of an empty database in another cluster; default: a new database of the test run. */
  readonly databaseUrl?: string;
}

/** The text form of a key ring with one random key per id; the first is current. */
function randomKeyRing(...ids: readonly number[]): string {
  return ids.map((id) => `${id}:${newSecret(32).toString('base64')}`).join(',');
}

async function migratedDatabase(url: string, poolSize: number): Promise<TestDatabase> {
  const database = openDatabase({ url, poolSize, applicationName: 'nightjar-test' });
  await migrateUp(database);
  return { ...database, url };
}

export async function startDomainHarness(options: HarnessOptions = {}): Promise<DomainHarness> {
  const poolSize = options.poolSize ?? 10;
  const database =
    options.databaseUrl === undefined
      ? await createTestDatabase({ poolSize })
      : await migratedDatabase(options.databaseUrl, poolSize);
  const privacy = createPrivacy(parseKeyRing(randomKeyRing(1)));
  const pools: Database[] = [];
  const serverOn = (pool: Database): TestServer => ({
    db: pool.db,
    sql: pool.sql,
    privacy,
    clock: systemClock,
    blocks: noBlockRecords,
    timeBucketSeconds: options.timeBucketSeconds ?? 60,
    messageTtlDays: 30,
    eventTtlDays: 7,
    keyPackagesPerDeviceMax: 200,
    keyPackageTtlDays: 90,
    deviceWaitDays: 30,
    chatRequestTtlDays: 7,
    idempotencyTtlHours: 24,
    claimLimit: { take: () => true, refund: () => undefined },
    requireFraming: false,
    handshakes: 'any',
    onEvents: () => undefined,
    onNewDevice: () => undefined,
    onClaims: () => undefined,
    appender: createMessageAppender({
      sql: pool.sql,
      timeBucketSeconds: options.timeBucketSeconds ?? 60,
      onStored: () => undefined,
    }),
  });
  const server = serverOn(database);
  await createPartitionsAhead(database.sql, 'messages', server.messageTtlDays);
  await createPartitionsAhead(database.sql, 'events', server.eventTtlDays);
  return {
    database,
    privacy,
    server,
    addServer(poolSize = 10) {
      const pool = openDatabase({ url: database.url, poolSize, applicationName: 'nightjar-test' });
      pools.push(pool);
      return serverOn(pool);
    },
    createConversation: (dids) => createTestConversation(server, dids),
    close: async () => {
      await Promise.all(pools.map((pool) => pool.close()));
      await database.close();
    },
  };
}

/** Returns `count` DIDs that no directory has. */
export function randomPeople(count: number): string[] {
  return Array.from({ length: count }, () => randomPlcDid());
}

export async function createTestConversation(server: TestServer, dids: readonly string[]): Promise<TestConversation> {
  const groupId = newSecret(16);
  const id = formatConversationId(groupId);
  const [creator = '', ...initialMembers] = dids;
  await createConversation(
    server,
    { did: creator },
    {
      groupId: id,
      cipherSuite: testSuite,
      initialMembers,
      welcome: undefined,
      groupInfo: undefined,
      metadata: undefined,
      currentEpoch: undefined,
    },
  );
  return { id, groupId, dids, creator };
}

/** Sends 512 random bytes. */
export function sendRandom(
  server: TestServer,
  did: string,
  to: { id: string; epoch?: number; msgId?: string },
): Promise<SentMessage> {
  const ciphertext = newSecret(512);
  const { id: conversationId, epoch = 0, msgId = newUuid() } = to;
  return sendMessage(server, { did }, { conversationId, msgId, epoch, paddedSize: ciphertext.length, ciphertext });
}

/** Stores random bytes as key packages of one device, sealed like real ones. @returns their KeyPackageRefs. */
export async function plantKeyPackages(
  server: TestServer,
  owner: { did: string; device?: string; lastResort?: boolean },
  count: number,
): Promise<Buffer[]> {
  const { privacy } = server;
  const packages = Array.from({ length: count }, () => {
    const bytes = newSecret(32);
    const ref = required(keyPackageRef(bytes, testSuiteNumber), 'a ref');
    return { bytes, ref, name: storedRef(privacy, ref) };
  });
  const rows = packages.map(({ name, bytes }) => ({
    ref: name,
    owner: keyPackageOwner(privacy, owner.did),
    key_id: privacy.keyId,
    device_tag: privacy.pseudonym('device-tag', [owner.did], owner.device ?? 'phone'),
    cipher_suite: testSuiteNumber,
    last_resort: owner.lastResort ?? false,
    sealed_did: privacy.sealText('key-package-did', [name], owner.did),
    sealed_package: privacy.seal('key-package', [name], padToBucket(bytes)),
    expires_at: new Date(server.clock.nowMs() + 86_400_000),
  }));
  await insertKeyPackages(server.db, rows, server.timeBucketSeconds);
  return packages.map(({ ref }) => ref);
}

/** Returns the code of the AppError that `task` throws, or 'none'. */
export async function refusalOf(task: Promise<unknown>): Promise<{ code: string; currentEpoch?: number }> {
  try {
    await task;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const { currentEpoch } = error.detail;
    return { code: error.code, ...(currentEpoch === undefined ? {} : { currentEpoch }) };
  }
  return { code: 'none' };
}
