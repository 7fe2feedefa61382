import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { migrateUp } from '#storage/schema/migrator.ts';
import { createAccount } from '../support/clients/account.ts';
import { startChildServer } from '../support/processes/child-server.ts';
import type { ChildServer } from '../support/processes/child-server.ts';
import { createCraftedConversation, sendCrafted } from '../support/mls/crafted-conversation.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { startLoopbackPlc } from '../support/network/loopback-plc.ts';
import type { LoopbackPlc } from '../support/network/loopback-plc.ts';
import {
  contractedCommit,
  hasContractedRelease,
  unpackPreviousRelease,
} from '../support/processes/previous-release.ts';
import type { PreviousRelease } from '../support/processes/previous-release.ts';
import { registerTestDevice } from '../support/clients/register-device.ts';
import { readShape } from '../support/postgres/schema-shape.ts';
import { startTestServer, testEnvironment } from '../support/test-server.ts';
import { createXrpcClient } from '../support/clients/xrpc-client.ts';

const identityKey = newKeyRingText();
let release: PreviousRelease;
let plc: LoopbackPlc;
let database: TestDatabase;
let former: ChildServer;

function startFormer(): Promise<ChildServer> {
  const env = { ...testEnvironment({ plcUrl: plc.url }), DATABASE_URL: database.url, IDENTITY_KEY: identityKey };
  return startChildServer('server', release.settingsOf(env), release.folder);
}

beforeAll(async () => {
  if (!hasContractedRelease) return;
  release = await unpackPreviousRelease(contractedCommit);
  plc = await startLoopbackPlc();
  database = await createTestDatabase({ schema: 'empty', poolSize: 3 });
  await release.migrateUp(database.url);
  former = await startFormer();
}, 60_000);
afterAll(async () => {
  await former?.end('SIGTERM');
  await plc?.close();
  await database?.close();
  await release?.remove();
});

describe.skipIf(!hasContractedRelease)('after a migration that contracts (git history needed)', () => {
  test('its data stay, its server is not ready any more and does not start again', async () => {
    const [alice, bob] = [createAccount(plc), createAccount(plc)];
    const serviceDid = testEnvironment({ plcUrl: plc.url })['SERVICE_DID'] ?? '';
    const at = (url: string) => (account: typeof alice) => createXrpcClient({ server: { url, serviceDid }, account });
    const [one, two] = [at(former.url)(alice), at(former.url)(bob)];
    await registerTestDevice(two);
    const conversation = await createCraftedConversation(one, [two]);
    const { seq } = await sendCrafted(one, conversation);
    expect((await migrateUp(database)).length).toBeGreaterThan(1);
    const isReady = async (): Promise<boolean> => (await fetch(`${former.url}/readyz`)).status === 200;
    for (let attempt = 0; attempt < 100 && (await isReady()); attempt++) await systemClock.sleep(100);
    expect(await isReady()).toBe(false);
    await expect(startFormer()).rejects.toThrow('the server ended');

    const today = await startTestServer({ databaseUrl: database.url, plcUrl: plc.url, identityKey });
    try {
      const { messages } = await at(today.url)(bob).call('getMessages', { convoId: conversation.convoId });
      expect(messages.map((message) => message.seq)).toEqual([seq]);
      expect((await at(today.url)(bob).call('getConvos', {})).conversations).toHaveLength(1);
    } finally {
      await today.stop();
    }
  }, 60_000);

  test('the schema that came of it is the same as that of a new database', async () => {
    const fresh = await createTestDatabase({ poolSize: 1 });
    try {
      expect(await readShape(database.sql)).toEqual(await readShape(fresh.sql));
    } finally {
      await fresh.close();
    }
  });
});
