import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { migrateUp } from '#storage/schema/migrator.ts';
import { createAccount } from '../../support/clients/account.ts';
import { startChildServer } from '../../support/processes/child-server.ts';
import type { ChildServer } from '../../support/processes/child-server.ts';
import { createCraftedConversation, sendCrafted } from '../../support/mls/crafted-conversation.ts';
import { createTestDatabase } from '../../support/postgres/database.ts';
import type { TestDatabase } from '../../support/postgres/database.ts';
import { startLoopbackPlc } from '../../support/network/loopback-plc.ts';
import type { LoopbackPlc } from '../../support/network/loopback-plc.ts';
import {
  contractedCommit,
  hasContractedRelease,
  unpackPreviousRelease,
} from '../../support/processes/previous-release.ts';
import type { PreviousRelease } from '../../support/processes/previous-release.ts';
import { registerTestDevice } from '../../support/clients/register-device.ts';
import { readShape } from '../../support/postgres/schema-shape.ts';
import { startTestServer, testEnvironment } from '../../support/test-server.ts';
import { createXrpcClient } from '../../support/clients/xrpc-client.ts';

const identityKey = newKeyRingText();
let release: PreviousRelease;
let plc: LoopbackPlc;
let database: TestDatabase;
let earlierServer: ChildServer;

function startEarlierServer(): Promise<ChildServer> {
  const env = { ...testEnvironment({ plcUrl: plc.url }), DATABASE_URL: database.url, IDENTITY_KEY: identityKey };
  return startChildServer('server', release.settingsOf(env), release.folder);
}

beforeAll(async () => {
  if (!hasContractedRelease) return;
  release = await unpackPreviousRelease(contractedCommit);
  plc = await startLoopbackPlc();
  database = await createTestDatabase({ schema: 'empty', poolSize: 3 });
  await release.migrateUp(database.url);
  earlierServer = await startEarlierServer();
}, 60_000);
afterAll(async () => {
  await earlierServer?.end('SIGTERM');
  await plc?.close();
  await database?.close();
  await release?.remove();
});

describe.skipIf(!hasContractedRelease)('after a migration that contracts (git history needed)', () => {
  test('the data stay, and the earlier server becomes unready and does not start again', async () => {
    const [alice, bob] = [createAccount(plc), createAccount(plc)];
    const serviceDid = testEnvironment({ plcUrl: plc.url })['SERVICE_DID'] ?? '';
    const at = (url: string) => (account: typeof alice) => createXrpcClient({ server: { url, serviceDid }, account });
    const [one, two] = [at(earlierServer.url)(alice), at(earlierServer.url)(bob)];
    await registerTestDevice(two);
    const conversation = await createCraftedConversation(one, [two]);
    const { seq } = await sendCrafted(one, conversation);
    expect((await migrateUp(database)).length).toBeGreaterThan(1);
    const isReady = async (): Promise<boolean> => (await fetch(`${earlierServer.url}/readyz`)).status === 200;
    for (let attempt = 0; attempt < 100 && (await isReady()); attempt++) await systemClock.sleep(100);
    expect(await isReady()).toBe(false);
    await expect(startEarlierServer()).rejects.toThrow('the server ended');

    const currentServer = await startTestServer({ databaseUrl: database.url, plcUrl: plc.url, identityKey });
    try {
      const { messages } = await at(currentServer.url)(bob).call('getMessages', { convoId: conversation.convoId });
      expect(messages.map((message) => message.seq)).toEqual([seq]);
      expect((await at(currentServer.url)(bob).call('getConvos', {})).conversations).toHaveLength(1);
    } finally {
      await currentServer.stop();
    }
  }, 60_000);

  test('the migrated schema is the same as that of a new database', async () => {
    const fresh = await createTestDatabase({ poolSize: 1 });
    try {
      expect(await readShape(database.sql)).toEqual(await readShape(fresh.sql));
    } finally {
      await fresh.close();
    }
  });
});
