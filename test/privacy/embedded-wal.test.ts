import { mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { accountPseudonym } from '#domain/accounts/account.ts';
import { keyPackageOwner } from '#domain/key-packages/key-package.ts';
import { systemClock } from '#platform/clock.ts';
import { newSecret } from '#platform/ids.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import { openDatabase } from '#storage/connection/database.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';
import { createAccount } from '../support/clients/account.ts';
import { startChildServer } from '../support/processes/child-server.ts';
import type { ChildServer } from '../support/processes/child-server.ts';
import { craftedSuite } from '../support/mls/crafted-conversation.ts';
import { startLoopbackPlc } from '../support/network/loopback-plc.ts';
import type { LoopbackPlc } from '../support/network/loopback-plc.ts';
import { registerTestDevice } from '../support/clients/register-device.ts';
import { testEnvironment } from '../support/test-server.ts';
import { createXrpcClient } from '../support/clients/xrpc-client.ts';

const identityKey = newKeyRingText();
const serviceDid = 'did:web:nightjar.test';
let dataDir: string;
let plc: LoopbackPlc;
let server: ChildServer;

beforeAll(async () => {
  dataDir = await realpath(await mkdtemp(join(tmpdir(), 'nightjar-embedded-wal-')));
  plc = await startLoopbackPlc();
  const env = { ...testEnvironment({ plcUrl: plc.url }), IDENTITY_KEY: identityKey, DATA_DIR: dataDir };
  server = await startChildServer('all', { ...env, SERVICE_DID: serviceDid });
});
afterAll(async () => {
  await server.end('SIGTERM');
  await plc.close();
  await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
});

/** The names of the `markers` that any WAL segment of the data folder contains. */
async function markersInWal(markers: Readonly<Record<string, Buffer>>): Promise<string[]> {
  const entries = await readdir(dataDir, { recursive: true, withFileTypes: true });
  const segments = entries.filter((entry) => entry.isFile() && entry.parentPath.endsWith('pg_wal'));
  const found = new Set<string>();
  for (const segment of segments) {
    // A segment may be removed while others are read.
    const bytes = await readFile(join(segment.parentPath, segment.name)).catch(() => Buffer.alloc(0));
    for (const [name, marker] of Object.entries(markers)) if (bytes.includes(marker)) found.add(name);
  }
  return [...found].toSorted();
}

/** Ends the interval of deferred writes now. */
async function endInterval(): Promise<void> {
  const { url } = await startEmbeddedPostgres({ dataDir, clock: systemClock, access: 'borrow' });
  const database = openDatabase({ url, poolSize: 1, applicationName: 'nightjar-test' });
  await database.sql`UPDATE last_settlement SET settled_at = now() - interval '1 day'`;
  await database.close();
}

test(
  'deferred writes remove the older WAL of a running npm start, and with it the order of actions',
  { timeout: 60_000 },
  async () => {
    const [alice, bob] = [createAccount(plc), createAccount(plc)].map((account) =>
      createXrpcClient({ server: { url: server.url, serviceDid }, account }),
    );
    if (alice === undefined || bob === undefined) throw new RangeError('two are needed');
    await registerTestDevice(bob);
    const groupId = newSecret(16);
    await alice.call('getKeyPackages', { dids: [bob.did] });
    await alice.call('createConvo', {
      groupId: groupId.toString('hex'),
      cipherSuite: craftedSuite,
      initialMembers: [bob.did],
    });
    const privacy = createPrivacy(parseKeyRing(identityKey));
    const markers = {
      account: accountPseudonym(privacy, bob.did),
      conversation: groupId,
      'key package': keyPackageOwner(privacy, bob.did),
    };
    expect(await markersInWal(markers)).toEqual(['account', 'conversation', 'key package']);
    await endInterval();
    for (let attempt = 0; attempt < 150 && (await markersInWal(markers)).length > 0; attempt += 1)
      await systemClock.sleep(200);
    expect(await markersInWal(markers)).toEqual([]);
    expect((await alice.call('getConvos', {})).conversations).toHaveLength(1);
  },
);
